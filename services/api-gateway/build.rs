//! Extracts the files of Swagger UI that the gateway embeds from the vendored archive, plain and as gzip.
//!
//! The source includes them as bytes only: generated code would contain the path of this directory, so that the same
//! commit would compile to a different binary in another checkout.

use std::error::Error;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::{env, fs};

const FILES: [&str; 7] = [
    "favicon-16x16.png",
    "favicon-32x32.png",
    "index.css",
    "index.html",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut archive = zip::ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED))?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let Some(path) = file.enclosed_name() else { continue };
        // swagger-ui-VERSION/dist/FILE; other folders contain files of the same names
        let segments: Vec<_> = path.iter().filter_map(|segment| segment.to_str()).collect();
        let [_, "dist", name] = segments[..] else { continue };
        if FILES.contains(&name) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            drop(file);
            fs::write(out.join(format!("{name}.gz")), gzip(&mut archive, index)?)?;
            fs::write(out.join(name), bytes)?;
        }
    }
    Ok(())
}

/// Returns a file as gzip (RFC 1952): the archive has it deflated already, or stored.
fn gzip(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, index: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut file = archive.by_index_raw(index)?;
    let mut data = Vec::new();
    file.read_to_end(&mut data)?;
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    match file.compression() {
        zip::CompressionMethod::Deflated => bytes.extend(data),
        // One block without compression (RFC 1951, 3.2.4).
        zip::CompressionMethod::Stored => {
            let length = u16::try_from(data.len())?;
            bytes.push(1);
            bytes.extend(length.to_le_bytes());
            bytes.extend((!length).to_le_bytes());
            bytes.extend(data);
        }
        other => return Err(format!("a file of Swagger UI has the compression {other}").into()),
    }
    bytes.extend(file.crc32().to_le_bytes());
    bytes.extend(u32::try_from(file.size())?.to_le_bytes());
    Ok(bytes)
}
