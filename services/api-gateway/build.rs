//! Takes the parts of Swagger UI that the page needs out of the vendored archive.
//!
//! The source includes them as bytes alone: code generated here would carry this directory's path into the binary, and the
//! same commit would give other bytes in another checkout.

use std::error::Error;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::{env, fs};

const PARTS: [&str; 7] = [
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
        // swagger-ui-VERSION/dist/PART; other folders have files of the same names
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let [_, "dist", name] = parts[..] else { continue };
        if PARTS.contains(&name) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            fs::write(out.join(name), bytes)?;
        }
    }
    Ok(())
}
