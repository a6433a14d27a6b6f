//! Compiles `proto/` with a Rust compiler (protox), so that no system `protoc` is needed, and keeps
//! the descriptor set for server reflection.

use std::error::Error;
use std::path::PathBuf;

const CODEC: &str = "crate::codec::BoundedCodec";
const FILES: [&str; 11] = [
    "windrow/v1/property.proto",
    "windrow/v1/property_service.proto",
    "windrow/v1/run_policy.proto",
    "windrow/v1/scrape_parameters.proto",
    "windrow/v1/scheduled_job.proto",
    "windrow/v1/scraping_job.proto",
    "windrow/v1/scheduled_job_service.proto",
    "windrow/v1/scraping_job_log.proto",
    "windrow/v1/watch.proto",
    "windrow/v1/scraping_job_service.proto",
    "windrow/v1/worker_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/windrow");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("windrow.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    // Ordered maps give a request the same bytes each time; a repeated request is found by their hash.
    let builder = tonic_prost_build::configure().btree_map(".").codec_path(CODEC);
    let mut messages = tonic_prost_build::Config::new();
    messages.enable_type_names();
    builder.compile_fds_with_config(compiler.file_descriptor_set(), messages)?;
    with_encoded_runs(compiler.file_descriptor_set())
}

/// Generates the server of `ScrapingJobService` once more, with responses of watches that hold the run as bytes.
fn with_encoded_runs(
    mut files: tonic_prost_build::FileDescriptorSet,
) -> Result<(), Box<dyn Error>> {
    for file in &mut files.file {
        if file.name() != "windrow/v1/scraping_job_service.proto" {
            file.service.clear();
        }
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("encoded");
    std::fs::create_dir_all(&out)?;
    let encoded = "crate::encoded::WatchResponse";
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path(CODEC)
        .extern_path(".windrow.v1", "crate::v1")
        .extern_path(".windrow.v1.WatchScrapingJobResponse", encoded)
        .extern_path(".windrow.v1.WatchScrapingJobsResponse", encoded)
        .out_dir(out)
        .compile_fds(files)?;
    Ok(())
}
