//! Sources: programs and OData servers.

mod exec;
mod reso;
