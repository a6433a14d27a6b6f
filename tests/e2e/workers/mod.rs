//! Workers in processes of their own.

mod limits;
mod python;
mod remote;
