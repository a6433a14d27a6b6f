//! The command `windrow` and the flags of `windrow-server`.

mod answers;
mod apply;
mod command;
mod context;
mod export;
mod home;
mod json;
mod mistakes;
mod prune;
mod server;
mod stopped;
mod terminal;
mod times;
mod undo;
mod waiting;
mod warnings;
mod watch;
