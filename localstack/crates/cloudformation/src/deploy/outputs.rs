//! Outputs of a deployed stack, and conflicts of their exports.

use super::{Deployment, DeploymentError};
use crate::exports::{exports, importers};
use crate::graph::graph;
use crate::scope::text;
use crate::stack::{Output, Stack};
use crate::stack_scope::resource_values;

impl Deployment {
    /// Evaluates and stores the outputs. Resources that the definition no longer has become pending deletion.
    pub fn set_outputs(&self) -> Result<(), DeploymentError> {
        let stack = self.operation.stack()?;
        let desired = graph(&self.template, &self.scope);
        let outputs = self.outputs(&stack)?;
        self.check_exports(&stack, &outputs)?;
        let imports = self.scope.imported.lock().clone();
        self.operation.edit(|stack| {
            let ids = stack.resources.keys();
            let removed: Vec<String> = ids.filter(|id| !desired.contains_key(*id)).cloned().collect();
            for id in removed {
                let resource = stack.resources.shift_remove(&id);
                stack
                    .pending_deletion
                    .extend(resource.filter(|r| r.physical_id.is_some()));
            }
            stack.outputs = outputs;
            stack.imports = imports;
        })?;
        Ok(())
    }

    fn outputs(&self, stack: &Stack) -> Result<Vec<Output>, DeploymentError> {
        let mut scope = self.scope.clone();
        scope.resources = resource_values(&stack.resources);
        let declared = self.template.outputs.iter();
        let declared = declared.filter(|(_, output)| scope.condition_holds(output.condition.as_deref()));
        let outputs = declared.map(|(key, output)| {
            let value = text(&scope.value(&output.value)?);
            Ok(Output {
                key: key.clone(),
                value: value.ok_or_else(|| DeploymentError::OutputNotText(key.clone()))?,
                description: output.description.clone(),
                export: output.export.as_ref().map(|export| scope.text(export)).transpose()?,
            })
        });
        outputs.collect()
    }

    /// Checks that no other stack has one of the exports, and that no export in use is changed or deleted.
    fn check_exports(&self, stack: &Stack, outputs: &[Output]) -> Result<(), DeploymentError> {
        let others: Vec<_> = exports(&self.operation.cx)?;
        for name in outputs.iter().filter_map(|output| output.export.as_ref()) {
            let mut others = others.iter();
            if let Some(other) = others.find(|other| other.name == *name && other.stack_id != stack.id) {
                return Err(DeploymentError::ExportExists {
                    name: name.clone(),
                    stack_id: other.stack_id.clone(),
                });
            }
        }
        for old in &stack.outputs {
            let Some(name) = &old.export else { continue };
            if outputs
                .iter()
                .any(|o| o.export.as_ref() == Some(name) && o.value == old.value)
            {
                continue;
            }
            let importers = importers(&self.operation.cx, name)?;
            if !importers.is_empty() {
                return Err(DeploymentError::ExportInUse {
                    name: name.clone(),
                    importers,
                });
            }
        }
        Ok(())
    }
}
