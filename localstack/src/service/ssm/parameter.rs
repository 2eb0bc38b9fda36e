//! `AWS::SSM::Parameter`: names, and the rules of a parameter.

use serde_json::{Value, json};

use super::version;
use crate::records::{Record, RecordType, Records, tags_of};
use crate::wire::lower_first;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const PARAMETERS: Records = Records("ssm.parameters");
/// The key of secure parameters that name none.
pub const DEFAULT_KEY: &str = "alias/aws/ssm";
pub const TYPES: [&str; 3] = ["String", "StringList", "SecureString"];
pub const TIERS: [&str; 3] = ["Standard", "Advanced", "Intelligent-Tiering"];
const DATA_TYPES: [&str; 3] = ["text", "aws:ec2:image", "aws:ssm:integration"];
/// The maximum length of a value in the standard and in the advanced tier.
const MAX_VALUE: [usize; 2] = [4096, 8192];

pub struct Parameter;

impl RecordType for Parameter {
    const TYPE: &'static str = "AWS::SSM::Parameter";
    const RECORDS: Records = PARAMETERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "Name",
                "Type",
                "Value",
                "Description",
                "AllowedPattern",
                "DataType",
                "Policies",
                "Tags",
                "Tier",
            ],
            required: &["Type", "Value"],
            create_only: &["Name"],
            attributes: &["Type", "Value"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("Name")
            .unwrap_or_else(|| format!("CFN-{}", desired.generated_name(1000)));
        check(&record)?;
        if record.has("Type", "SecureString") {
            return Err(AwsError::new(
                "ValidationException",
                "A template cannot create a parameter of type SecureString.",
            ));
        }
        if named(cx, &record.id)?.is_some() {
            return Err(already_exists());
        }
        version::next(&mut record, None);
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Type", record.text("Type").unwrap_or_default())
            .with("Value", record.text("Value").unwrap_or_default())
    }

    /// Returns the tags as an object, unlike most types.
    fn read(record: &Record) -> Value {
        let mut live = record.template_properties();
        if let Some(tags) = live.get("Tags").map(tags_of) {
            live["Tags"] = json!(tags);
        }
        live
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)?;
        let former = PARAMETERS.get(cx, &record.id)?;
        version::next(record, former.as_ref());
        Ok(())
    }
}

/// Finds a parameter by its name. A name without other slashes is the same with and without a leading one.
pub fn named(cx: &Context, name: &str) -> Result<Option<Record>, AwsError> {
    if let Some(found) = PARAMETERS.get(cx, name)? {
        return Ok(Some(found));
    }
    match name.strip_prefix('/') {
        Some(rest) if !rest.contains('/') => PARAMETERS.get(cx, rest),
        None if !name.contains('/') => PARAMETERS.get(cx, &format!("/{name}")),
        _ => Ok(None),
    }
}

/// Finds a parameter by its name or ARN, without a version or label.
pub fn find(cx: &Context, given: &str) -> Result<Option<Record>, AwsError> {
    match given.split_once(":parameter/") {
        Some((_, rest)) if given.starts_with("arn:") => match named(cx, &format!("/{rest}"))? {
            None => named(cx, rest),
            found => Ok(found),
        },
        _ => named(cx, given),
    }
}

pub fn check(record: &Record) -> Result<(), AwsError> {
    let invalid = |message: String| Err(AwsError::new("ValidationException", message));
    let one_of = |property: &str, known: &[&str]| match record.text(property) {
        Some(other) if !known.contains(&other.as_str()) => {
            let known: Vec<&str> = known.iter().rev().copied().collect();
            let message = format!(
                "1 validation error detected: Value '{other}' at '{}' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
                lower_first(property),
                known.join(", ")
            );
            Err(AwsError::new("ValidationException", message))
        }
        _ => Ok(()),
    };
    check_name(&record.id)?;
    one_of("Type", &TYPES)?;
    one_of("Tier", &TIERS)?;
    if let Some(other) = record
        .text("DataType")
        .filter(|given| !DATA_TYPES.contains(&given.as_str()))
    {
        return invalid(format!(
            "The following data type is not supported: {other} (Data type names are all lowercase.)"
        ));
    }
    let value = record.text("Value").unwrap_or_default();
    let is_standard = record.text("Tier").is_none_or(|tier| tier == "Standard");
    let max = MAX_VALUE[usize::from(!is_standard)];
    if value.is_empty() {
        return invalid(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1"
                .into(),
        );
    }
    if value.chars().count() > max {
        return invalid(format!("Value must have 1 to {max} characters in this tier."));
    }
    let policies = record.text("Policies").unwrap_or_default();
    if !matches!(policies.trim(), "" | "[]") {
        return Err(AwsError::new(
            "InvalidPolicyTypeException",
            "The embedded endpoint does not support parameter policies.",
        ));
    }
    let Some(pattern) = record.text("AllowedPattern").filter(|pattern| !pattern.is_empty()) else {
        return Ok(());
    };
    match regex::Regex::new(&pattern).map(|pattern| pattern.is_match(&value)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(AwsError::new(
            "ParameterPatternMismatchException",
            format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
        )),
        Err(_) => Err(AwsError::new(
            "InvalidAllowedPatternException",
            format!("{pattern} is not a regular expression"),
        )),
    }
}

/// Checks a name (`PutParameter`, `Name`).
fn check_name(name: &str) -> Result<(), AwsError> {
    let invalid = |message: &str| Err(AwsError::new("ValidationException", message));
    let bare = name.trim_start_matches('/').to_ascii_lowercase();
    let is_path = name.contains('/');
    if !is_path && (bare.starts_with("aws") || bare.starts_with("ssm")) {
        return invalid("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).");
    }
    if bare.starts_with("aws") {
        let message = format!("No access to reserved parameter name: {name}.");
        return Err(AwsError::new("AccessDeniedException", message));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if bare.is_empty() || bare.starts_with("ssm") || !name.chars().all(allowed) || name.ends_with('/') {
        return invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by \
             slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_",
        );
    }
    if name.contains('/') && !name.starts_with('/') {
        return invalid("Parameter name must be a fully qualified name.");
    }
    if name.matches('/').count() > 15 {
        let message = "Parameter name can have at most 15 levels of a hierarchy.";
        return Err(AwsError::new("HierarchyLevelLimitExceededException", message));
    }
    Ok(())
}

/// Returns the tier that a parameter has: of `Intelligent-Tiering`, what its value needs.
pub fn tier(record: &Record) -> String {
    let given = record.text("Tier").unwrap_or_else(|| "Standard".into());
    if given != "Intelligent-Tiering" {
        return given;
    }
    let is_long = record
        .text("Value")
        .is_some_and(|value| value.chars().count() > MAX_VALUE[0]);
    if is_long { "Advanced" } else { "Standard" }.into()
}

pub fn arn(cx: &Context, name: &str) -> String {
    cx.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

pub fn not_found(name: &str) -> AwsError {
    AwsError::new("ParameterNotFound", format!("Parameter {name} not found."))
}

pub fn already_exists() -> AwsError {
    let reason =
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
    AwsError::new("ParameterAlreadyExists", reason)
}
