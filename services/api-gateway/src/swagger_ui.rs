//! The files of Swagger UI, embedded in the binary.

use serde_json::json;

/// An embedded file.
pub struct Asset {
    pub content_type: &'static str,
    pub bytes: &'static [u8],
    /// The same, compressed.
    pub gzip: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            content_type: $content_type,
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name)),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
        }
    };
}

/// Returns the file of this name; [`initializer`] generates the script that is not embedded.
pub fn asset(name: &str) -> Option<Asset> {
    Some(match name {
        "index.html" => asset!("index.html", "text/html"),
        "index.css" => asset!("index.css", "text/css"),
        "swagger-ui.css" => asset!("swagger-ui.css", "text/css"),
        "swagger-ui-bundle.js" => asset!("swagger-ui-bundle.js", "text/javascript"),
        "swagger-ui-standalone-preset.js" => asset!("swagger-ui-standalone-preset.js", "text/javascript"),
        "favicon-16x16.png" => asset!("favicon-16x16.png", "image/png"),
        "favicon-32x32.png" => asset!("favicon-32x32.png", "image/png"),
        _ => return None,
    })
}

/// Returns the script that loads the documents, given as name and URL.
///
/// It uses no external validator and stores no token in the browser.
pub fn initializer<'a>(documents: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let urls: Vec<_> = documents
        .map(|(name, url)| json!({ "name": name, "url": url }))
        .collect();
    let settings = json!({
        "dom_id": "#swagger-ui",
        "urls": urls,
        "deepLinking": true,
        "layout": "StandaloneLayout",
        "validatorUrl": "none",
        "persistAuthorization": false,
    });
    format!(
        "window.onload = function () {{\n  window.ui = SwaggerUIBundle(Object.assign({settings}, {{\n    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\n    plugins: [SwaggerUIBundle.plugins.DownloadUrl],\n  }}));\n}};\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_references_is_embedded() {
        let page = std::str::from_utf8(asset("index.html").unwrap().bytes).unwrap();
        let referenced: Vec<&str> = page
            .split('"')
            .filter(|word| {
                let extension = std::path::Path::new(word).extension().and_then(|text| text.to_str());
                matches!(extension, Some("js" | "css" | "png"))
            })
            .map(|word| word.trim_start_matches("./"))
            .collect();
        assert!(referenced.len() >= 7, "{referenced:?}");
        for name in referenced {
            assert!(
                name == "swagger-initializer.js" || asset(name).is_some(),
                "{name} is missing"
            );
        }
    }
}
