//! Errors of the manifest: `cases/NAME.toml` has the error `cases/NAME.err`. `UPDATE=1` writes the `.err` files.

use std::fs;
use std::path::Path;

use platform::manifest::Manifest;

#[test]
fn each_case_has_its_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest/cases");
    let prefix = format!("{}/", folder.display());
    let update = std::env::var_os("UPDATE").is_some();
    let (mut cases, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(&folder).expect("the folder of cases") {
        let case = entry.expect("a file").path();
        if case.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let error = Manifest::load(&case, "dev").err();
        let text = error.map_or_else(
            || "no error\n".to_owned(),
            |error| {
                let hint = error.hint().map(|hint| format!("hint: {hint}\n"));
                format!("{error}\n{}", hint.unwrap_or_default()).replace(&prefix, "")
            },
        );
        let golden = case.with_extension("err");
        if update {
            fs::write(&golden, &text).expect("a written file");
        } else if fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(text);
        }
    }
    assert!(cases > 60, "{cases} cases");
    assert_eq!(wrong, Vec::<String>::new());
}
