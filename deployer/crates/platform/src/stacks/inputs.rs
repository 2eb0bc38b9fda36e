//! What a stack takes from others.

use serde_json::Value;

use super::{Parameter, from_output, name_of};
use crate::manifest::Manifest;
use cfn::template::Template;

/// A stack's parameters, and the stacks that it waits for because of them.
#[derive(Debug, Default)]
pub struct Inputs {
    pub parameters: Vec<Parameter>,
    pub depends_on: Vec<String>,
}

impl Inputs {
    /// An output of another stack, as a parameter of the same name; taking it twice is taking it once.
    pub fn take(
        &mut self,
        manifest: &Manifest,
        template: &mut Template,
        (name, kind, description): (&str, &str, &str),
        stack: &str,
    ) -> Value {
        self.add(from_output(manifest, name, stack, name));
        self.wait_for(name_of(manifest, stack));
        template.parameter(name, kind, description).reference()
    }

    pub fn add(&mut self, parameter: Parameter) {
        if !self.parameters.contains(&parameter) {
            self.parameters.push(parameter);
        }
    }

    pub fn wait_for(&mut self, stack: String) {
        if !self.depends_on.contains(&stack) {
            self.depends_on.push(stack);
        }
    }
}
