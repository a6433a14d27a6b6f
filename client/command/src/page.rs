//! Lists page by page.

use clap::Args;

/// `--all` stops here, so that a server that repeats its pages cannot hold it for ever; the page
/// token then says where to go on.
pub(crate) const MAX_PAGES: u32 = 10_000;

/// Which part of a list.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// At most so many on a page; 50 unless given, at most 1,000.
    #[arg(long, visible_alias = "limit", default_value_t = 0, hide_default_value = true)]
    pub(crate) page_size: i32,
    /// Begin where the page before ended.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) page_token: String,
    /// Every page.
    #[arg(long)]
    pub(crate) all: bool,
}
