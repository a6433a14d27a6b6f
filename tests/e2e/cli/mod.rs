//! The command `windrow` and the flags of `windrow-server`.

mod answers;
mod apply;
mod command;
mod home;
mod json;
mod server;
mod terminal;
mod waiting;
mod warnings;
mod watch;
