//! Watches of one run and of many.

mod database_crash;
mod lag;
mod many_runs;
mod one_run;
mod resets;
mod resuming;
