//! Arithmetic of metrics: ids of queries, numbers, `+ - * /` and parentheses ("Using math expressions", CloudWatch User Guide).

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::str::Chars;

use crate::AwsError;

type Series = BTreeMap<i64, f64>;

/// A value at each time, or one at all times.
enum Operand {
    Series(Series),
    Number(f64),
}

/// Evaluates an expression over the series of queries, by their ids. Where a series has no value, the result has none.
///
/// # Errors
/// `ValidationError` for an unknown id, another syntax or a function, none of which is known here.
pub fn evaluate(text: &str, series: &BTreeMap<String, Series>) -> Result<Series, AwsError> {
    let mut parser = Parser {
        text,
        rest: text.chars().peekable(),
        series,
    };
    let result = parser.sum()?;
    parser.spaces();
    match (result, parser.rest.peek()) {
        (Operand::Series(found), None) => Ok(found),
        _ => Err(parser.error()),
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: Peekable<Chars<'a>>,
    series: &'a BTreeMap<String, Series>,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<Operand, AwsError> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator("+-") {
            let right = self.product()?;
            left = combine(left, right, |a, b| if operator == '+' { a + b } else { a - b });
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Operand, AwsError> {
        let mut left = self.operand()?;
        while let Some(operator) = self.operator("*/") {
            let right = self.operand()?;
            left = combine(left, right, |a, b| if operator == '*' { a * b } else { a / b });
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Operand, AwsError> {
        if self.operator("(").is_some() {
            let inner = self.sum()?;
            return match self.operator(")") {
                Some(_) => Ok(inner),
                None => Err(self.error()),
            };
        }
        if self.operator("-").is_some() {
            let inner = self.operand()?;
            return Ok(combine(Operand::Number(0.0), inner, |a, b| a - b));
        }
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || "_.".contains(*c)) {
            word.push(c);
        }
        if let Some(found) = self.series.get(&word) {
            return Ok(Operand::Series(found.clone()));
        }
        let number = word.parse::<f64>().map_err(|_| self.error())?;
        Ok(Operand::Number(number))
    }

    fn operator(&mut self, operators: &str) -> Option<char> {
        self.spaces();
        let found = self.rest.next_if(|c| operators.contains(*c));
        self.spaces();
        found
    }

    fn spaces(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn error(&self) -> AwsError {
        AwsError::validation(format!(
            "Error in expression '{}': the embedded endpoint evaluates ids of queries, numbers, + - * / and parentheses.",
            self.text
        ))
    }
}

fn combine(left: Operand, right: Operand, operation: impl Fn(f64, f64) -> f64) -> Operand {
    let times: BTreeSet<i64> = match (&left, &right) {
        (Operand::Number(a), Operand::Number(b)) => return Operand::Number(operation(*a, *b)),
        (Operand::Series(one), Operand::Number(_)) | (Operand::Number(_), Operand::Series(one)) => {
            one.keys().copied().collect()
        }
        (Operand::Series(one), Operand::Series(other)) => {
            one.keys().copied().filter(|at| other.contains_key(at)).collect()
        }
    };
    let value = |operand: &Operand, at: i64| match operand {
        Operand::Number(number) => *number,
        Operand::Series(series) => series[&at],
    };
    let values = times
        .into_iter()
        .map(|at| (at, operation(value(&left, at), value(&right, at))));
    // A division by zero has no value.
    Operand::Series(values.filter(|(_, value)| value.is_finite()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_has_values_where_all_its_series_have() {
        let series = BTreeMap::from([
            ("errors".to_owned(), BTreeMap::from([(1, 2.0), (2, 1.0)])),
            ("all".to_owned(), BTreeMap::from([(1, 8.0), (2, 0.0), (3, 5.0)])),
        ]);
        let result = evaluate("100 * (errors / all) - 1", &series).unwrap();
        assert_eq!(result, BTreeMap::from([(1, 24.0)]));
        for text in ["errors +", "SUM(all)", "none", "7"] {
            assert_eq!(evaluate(text, &series).unwrap_err().code, "ValidationError", "{text}");
        }
    }
}
