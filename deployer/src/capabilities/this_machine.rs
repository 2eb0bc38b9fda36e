//! The architecture of tasks on the embedded endpoint, which runs them as processes of this machine.

use platform::manifest::Architecture;
use platform::stacks::Plan;
use serde_json::json;

use crate::image;

/// Lets all tasks run on this machine's architecture; returns a warning if another one is declared.
pub fn run_tasks_here(plan: &mut Plan) -> Option<String> {
    let here = [Architecture::X86_64, Architecture::Arm64]
        .into_iter()
        .find(|&one| Some(image::architecture(one)) == image::Architecture::of_this_machine())?;
    run_tasks_on(plan, here).then(|| {
        format!(
            "services run on {}, this machine's architecture, instead of the declared one",
            here.cpu_architecture()
        )
    })
}

/// Replaces the architecture of all tasks; returns true if one had another.
fn run_tasks_on(plan: &mut Plan, here: Architecture) -> bool {
    let mut changed = false;
    for image in &mut plan.images {
        changed |= image.architecture != here;
        image.architecture = here;
    }
    for stack in &mut plan.stacks {
        let resources = stack
            .template
            .get_mut("Resources")
            .and_then(serde_json::Value::as_object_mut);
        for resource in resources.into_iter().flat_map(|all| all.values_mut()) {
            if let Some(architecture) = resource.pointer_mut("/Properties/RuntimePlatform/CpuArchitecture") {
                let here = json!(here.cpu_architecture());
                changed |= *architecture != here;
                *architecture = here;
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing;

    #[test]
    fn tasks_run_on_the_architecture_of_the_machine_and_only_a_difference_is_reported() {
        let mut plan = testing::plan("dev");
        assert!(!run_tasks_on(&mut plan, Architecture::X86_64));
        assert!(run_tasks_on(&mut plan, Architecture::Arm64));
        assert!(
            plan.images
                .iter()
                .all(|image| image.architecture == Architecture::Arm64)
        );
        let templates: String = plan.stacks.iter().map(|stack| stack.template.to_string()).collect();
        assert!(templates.contains("ARM64") && !templates.contains("X86_64"));
    }
}
