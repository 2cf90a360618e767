//! Compiles the gRPC service, and lists the files of the web page so that the binary carries them.

use std::error::Error;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=web");
    let descriptors = protox::compile(["query.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    let table = files(Path::new("web"))?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("page.rs");
    Ok(fs::write(out, table)?)
}

/// The source of a slice of `File`s, sorted by name.
fn files(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    let mut table = String::from("&[");
    for path in paths.iter().filter(|path| path.is_file()) {
        let Some(media_type) = media_type(path) else {
            continue;
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or("a file of the page has a name that is not UTF-8")?;
        let path = fs::canonicalize(path)?;
        let mut hasher = DefaultHasher::new();
        fs::read(&path)?.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        write!(
            table,
            "File {{ name: {name:?}, media_type: {media_type:?}, tag: {tag:?}, \
             content: include_bytes!({path:?}) }},"
        )?;
    }
    table.push(']');
    Ok(table)
}

/// Of the kinds of files that a page consists of; others are not served.
fn media_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
