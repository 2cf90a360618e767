//! Compiles the wire format. protox is a protobuf compiler in Rust, so no `protoc` is needed.

use std::error::Error;

/// The files of the wire format, relative to `proto/`.
const FILES: &[&str] = &[
    "broadcast.proto",
    "commit.proto",
    "paxos.proto",
    "peer.proto",
    "raft.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // `Bytes` instead of `Vec<u8>`: a payload is a slice of the buffer that was received.
    tonic_prost_build::configure()
        .bytes(".")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}
