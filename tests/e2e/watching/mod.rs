//! Watches of one run and of many.

mod lag;
mod many_runs;
mod one_run;
mod resets;
mod resuming;
