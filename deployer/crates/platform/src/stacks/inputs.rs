//! Values that a stack receives from others.

use serde_json::Value;

use super::{Parameter, from_output, name_of};
use crate::manifest::Manifest;
use cfn::template::Template;

/// A stack's parameters, and the stacks on which it depends because of them.
#[derive(Debug, Default)]
pub struct Inputs {
    pub parameters: Vec<Parameter>,
    pub depends_on: Vec<String>,
}

impl Inputs {
    /// Adds an output of another stack as a parameter of the same name, and returns a reference to it. Adding it twice has no
    /// effect.
    pub fn output(
        &mut self,
        manifest: &Manifest,
        template: &mut Template,
        (name, parameter_type, description): (&str, &str, &str),
        stack: &str,
    ) -> Value {
        self.add(from_output(manifest, name, stack, name));
        self.depend_on(name_of(manifest, stack));
        template.parameter(name, parameter_type, description).reference()
    }

    /// Adds a parameter.
    pub fn add(&mut self, parameter: Parameter) {
        if !self.parameters.contains(&parameter) {
            self.parameters.push(parameter);
        }
    }

    /// Adds a stack by its full name.
    pub fn depend_on(&mut self, stack: String) {
        if !self.depends_on.contains(&stack) {
            self.depends_on.push(stack);
        }
    }
}
