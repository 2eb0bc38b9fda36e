//! The values of a template's conditions.

use crate::expression::EvaluationError;
use crate::references::{Reference, references};
use crate::scope::Scope;
use crate::template::Template;

impl Scope {
    /// Evaluates the conditions of a template, once all names are known.
    ///
    /// # Errors
    /// The first condition that has no value.
    pub fn evaluate_conditions(&mut self, template: &Template) -> Result<(), EvaluationError> {
        self.mappings.clone_from(&template.mappings);
        for name in template.conditions.keys() {
            self.evaluate_condition(template, name, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Evaluates one condition, after those that it refers to. `evaluating` are the conditions on the path to this one.
    fn evaluate_condition(
        &mut self,
        template: &Template,
        name: &str,
        evaluating: &mut Vec<String>,
    ) -> Result<(), EvaluationError> {
        if self.conditions.contains_key(name) {
            return Ok(());
        }
        if evaluating.iter().any(|n| n == name) {
            return Err(EvaluationError::CircularConditions(evaluating.clone()));
        }
        let Some(expression) = template.conditions.get(name) else {
            return Err(EvaluationError::UnresolvedCondition(name.to_owned()));
        };
        evaluating.push(name.to_owned());
        for reference in references(expression, &|_| None) {
            if let Reference::Condition(other) = reference {
                self.evaluate_condition(template, &other, evaluating)?;
            }
        }
        evaluating.pop();
        let value = self.truth(expression)?;
        self.conditions.insert(name.to_owned(), value);
        Ok(())
    }
}
