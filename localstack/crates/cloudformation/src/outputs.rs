//! What a stack gives away when its resources are made, and the exports that must not clash.

use super::engine;
use super::graph::graph;
use super::scope::text;
use super::stack::{Output, Stack};

impl super::deploy::Deployment {
    /// Evaluates the outputs; resources that the goal does not have become garbage.
    pub(super) async fn outputs(&self) -> anyhow::Result<Result<(), String>> {
        let stack = self.work.stack()?;
        let mut scope = self.scope.clone();
        let wanted = graph(&self.template, &scope);
        scope.resources = engine::live(&stack.members);
        let mut outputs = Vec::new();
        for (key, output) in self
            .template
            .outputs
            .iter()
            .filter(|(_, o)| scope.holds(o.condition.as_deref()))
        {
            let evaluated = scope.value(&output.value).and_then(|value| {
                let value = text(&value).ok_or_else(|| {
                    format!("Template format error: Output {key} is malformed. The Value is not a string.")
                })?;
                Ok((value, output.export.as_ref().map(|e| scope.text(e)).transpose()?))
            });
            let (value, export) = match evaluated {
                Ok(found) => found,
                Err(reason) => return Ok(Err(reason)),
            };
            outputs.push(Output {
                key: key.clone(),
                value,
                description: output.description.clone(),
                export,
            });
        }
        if let Some(reason) = self.conflict(&stack, &outputs)? {
            return Ok(Err(reason));
        }
        let imports = self.scope.imported.lock().expect("no panic holds this lock").clone();
        self.work.edit(|stack| {
            let gone: Vec<String> = stack
                .members
                .keys()
                .filter(|id| !wanted.contains_key(*id))
                .cloned()
                .collect();
            for id in gone {
                let member = stack.members.shift_remove(&id);
                stack.garbage.extend(member.filter(|m| m.physical_id.is_some()));
            }
            stack.outputs = outputs;
            stack.imports = imports;
        })?;
        Ok(Ok(()))
    }

    /// An export that another stack has already, or that another stack uses and this deployment would take away.
    fn conflict(&self, stack: &Stack, outputs: &[Output]) -> anyhow::Result<Option<String>> {
        let others = engine::exports(&self.work.cx)?;
        for export in outputs.iter().filter_map(|o| o.export.as_ref()) {
            if let Some((_, _, owner)) = others
                .iter()
                .find(|(name, _, owner)| name == export && *owner != stack.id)
            {
                return Ok(Some(format!(
                    "Export with name {export} is already exported by stack {owner}."
                )));
            }
        }
        for old in stack.outputs.iter().filter(|o| o.export.is_some()) {
            let export = old.export.as_deref().unwrap_or_default();
            if outputs
                .iter()
                .any(|o| o.export.as_deref() == Some(export) && o.value == old.value)
            {
                continue;
            }
            let users = engine::importers(&self.work.cx, export)?;
            if !users.is_empty() {
                return Ok(Some(format!(
                    "Export {export} cannot be deleted or changed as it is in use by {}",
                    users.join(" and ")
                )));
            }
        }
        Ok(None)
    }
}
