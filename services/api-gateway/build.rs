//! Extracts the files of Swagger UI that the gateway embeds from the vendored archive.
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
            fs::write(out.join(name), bytes)?;
        }
    }
    Ok(())
}
