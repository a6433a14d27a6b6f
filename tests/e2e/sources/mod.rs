//! Sources: programs and OData servers.

mod exec;
mod field;
mod reso;
