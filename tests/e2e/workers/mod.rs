//! Workers in processes of their own.

mod absences;
mod limits;
mod python;
mod remote;
