//! The contract of Windrow, generated from `proto/windrow/v1`: messages, gRPC clients and servers,
//! the descriptor set behind server reflection, the [JSON form](json) of property bodies, a codec that refuses
//! requests of too many parts, and a server whose watches [encode a run once](encoded). No other logic lives here.

#![warn(missing_docs)]

mod codec;
pub mod encoded;
pub mod json;
pub mod reason;

/// Package `windrow.v1`.
#[allow(warnings, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
#[allow(rustdoc::all, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("windrow.v1");
}

/// The encoded `google.protobuf.FileDescriptorSet` of the package and of everything it imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("windrow");
