//! The product's own manifest, and the templates that are committed for it.

use std::collections::BTreeSet;
use std::path::Path;

use platform::lint;
use platform::manifest::Manifest;
use platform::stacks::{Plan, plan};

fn plan_of(environment: &str) -> (Manifest, Plan) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
    let manifest = Manifest::load(&path, environment).unwrap();
    let plan = plan(&manifest);
    (manifest, plan)
}

/// The committed templates are what `deployer synth` writes; `deployer synth --env ENV --output templates` renews them.
#[test]
fn the_golden_templates_are_current() {
    for environment in ["dev", "prod"] {
        let (_, plan) = plan_of(environment);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../templates")
            .join(environment);
        let mut expected = BTreeSet::new();
        for stack in &plan.stacks {
            let file = folder.join(format!("{}.json", stack.short_name));
            let golden = std::fs::read_to_string(&file).unwrap_or_default();
            let current = serde_json::to_string_pretty(&stack.template).unwrap() + "\n";
            assert!(
                golden == current,
                "{} is stale: run `deployer synth --env {environment} --output templates`",
                file.display()
            );
            expected.insert(file);
        }
        let there: BTreeSet<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(there, expected, "a golden template that no stack makes any more");
    }
}

#[test]
fn the_products_plan_passes_every_lint() {
    for environment in ["dev", "prod"] {
        let (manifest, plan) = plan_of(environment);
        assert_eq!(lint::check(&manifest, &plan), [], "{environment}");
    }
}
