//! Settings of a bucket: the API's XML on one side, the properties of `AWS::S3::Bucket` on the other, so that what a client
//! sets is what a drift detection sees, and the other way round.

use serde_json::{Map, Value, json};

use super::xml;
use crate::AwsError;
use crate::records::Record;

/// One setting that the API can put and get.
pub struct Setting {
    /// As in `PutPublicAccessBlock`.
    pub noun: &'static str,
    /// The root of its document.
    pub root: &'static str,
    pub property: &'static str,
    /// The property that a document means.
    pub take: fn(&Value) -> Result<Value, AwsError>,
    /// The document of a property; an error where the bucket has none and S3 has no default.
    pub give: fn(Option<&Value>) -> Result<Value, AwsError>,
}

pub const SETTINGS: [Setting; 3] = [
    Setting {
        noun: "PublicAccessBlock",
        root: "PublicAccessBlockConfiguration",
        property: "PublicAccessBlockConfiguration",
        take: |document| Ok(access(|name| document[name] == "true")),
        // Every new bucket has it (Amazon S3 User Guide: "Blocking public access to your Amazon S3 storage").
        give: |property| {
            Ok(access(|name| {
                property.is_none_or(|all| all[name] == true || all[name] == "true")
            }))
        },
    },
    Setting {
        noun: "BucketEncryption",
        root: "ServerSideEncryptionConfiguration",
        property: "BucketEncryption",
        take: |document| {
            let rules = xml::list(&document["Rule"]).into_iter().map(|rule| {
                let default = &rule["ApplyServerSideEncryptionByDefault"];
                match default["SSEAlgorithm"].as_str() {
                    Some("AES256" | "aws:kms" | "aws:kms:dsse") => Ok(json!({
                        "ServerSideEncryptionByDefault": default, "BucketKeyEnabled": rule["BucketKeyEnabled"] == "true",
                    })),
                    _ => Err(AwsError::new("InvalidArgument", "The encryption method specified is not supported")),
                }
            });
            let rules = rules.collect::<Result<Vec<Value>, AwsError>>()?;
            Ok(json!({"ServerSideEncryptionConfiguration": rules}))
        },
        give: |property| {
            let Some(rules) = property.and_then(|all| all["ServerSideEncryptionConfiguration"].as_array()) else {
                let default = json!({"SSEAlgorithm": "AES256"});
                return Ok(json!({"Rule": {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": false}}));
            };
            let shown = |rule: &Value| {
                let enabled = rule["BucketKeyEnabled"] == true || rule["BucketKeyEnabled"] == "true";
                json!({
                    "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                    "BucketKeyEnabled": enabled,
                })
            };
            Ok(json!({"Rule": rules.iter().map(shown).collect::<Vec<Value>>()}))
        },
    },
    Setting {
        noun: "BucketLifecycleConfiguration",
        root: "LifecycleConfiguration",
        property: "LifecycleConfiguration",
        take: |document| {
            let rules = xml::list(&document["Rule"]).into_iter().map(taken);
            Ok(json!({"Rules": rules.collect::<Result<Vec<Value>, AwsError>>()?}))
        },
        give: |property| {
            let Some(rules) = property.and_then(|all| all["Rules"].as_array()) else {
                let words = "The lifecycle configuration does not exist";
                return Err(AwsError::new("NoSuchLifecycleConfiguration", words).with_status(404));
            };
            Ok(json!({"Rule": rules.iter().map(given).collect::<Vec<Value>>()}))
        },
    },
];

/// The encryption that an object gets which asks for none.
pub fn encryption(bucket: &Record) -> String {
    let rules = bucket.properties.get("BucketEncryption");
    let rule = rules.map(|all| &all["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]);
    let algorithm = rule.and_then(|rule| rule["SSEAlgorithm"].as_str());
    algorithm.unwrap_or("AES256").to_owned()
}

fn access(is_on: impl Fn(&str) -> bool) -> Value {
    let names = [
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "BlockPublicPolicy",
        "RestrictPublicBuckets",
    ];
    names
        .into_iter()
        .map(|name| (name.to_owned(), is_on(name).into()))
        .collect::<Map<String, Value>>()
        .into()
}

/// Where the API has a number of days, and the property that CloudFormation has for it.
const DAYS: [(&str, &str, &str); 3] = [
    ("Expiration", "Days", "ExpirationInDays"),
    (
        "NoncurrentVersionExpiration",
        "NoncurrentDays",
        "NoncurrentVersionExpirationInDays",
    ),
    (
        "AbortIncompleteMultipartUpload",
        "DaysAfterInitiation",
        "AbortIncompleteMultipartUpload",
    ),
];

/// A rule of the API as CloudFormation writes it; what this endpoint has no words for is refused.
fn taken(rule: &Value) -> Result<Value, AwsError> {
    let mut property = Map::new();
    for (name, value) in rule.as_object().into_iter().flatten() {
        let days = DAYS.iter().find(|(element, ..)| element == name);
        match (name.as_str(), days) {
            ("ID", _) => _ = property.insert("Id".to_owned(), value.clone()),
            ("Status", _) => _ = property.insert("Status".to_owned(), value.clone()),
            ("Prefix", _) => _ = property.insert("Prefix".to_owned(), value.clone()),
            ("Filter", _) if value == "" => {}
            ("Filter", _) if value.get("Prefix").is_some() => {
                property.insert("Prefix".to_owned(), value["Prefix"].clone());
            }
            (_, Some((_, member, name))) if value[member].as_str().is_some_and(is_positive) => {
                let days: u32 = value[member]
                    .as_str()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or_default();
                let value = match *name {
                    "AbortIncompleteMultipartUpload" => json!({ *member: days }),
                    _ => days.into(),
                };
                property.insert((*name).to_owned(), value);
            }
            _ => {
                let operation = format!("PutBucketLifecycleConfiguration with {name} as it is here");
                return Err(AwsError::not_implemented("s3", &operation));
            }
        }
    }
    if !matches!(
        property.get("Status").and_then(Value::as_str),
        Some("Enabled" | "Disabled")
    ) {
        let words = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(AwsError::new("MalformedXML", words));
    }
    Ok(property.into())
}

fn is_positive(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|days| days > 0)
}

/// A rule of CloudFormation as the API writes it.
fn given(property: &Value) -> Value {
    let mut rule = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            rule.insert(name.to_owned(), value);
        }
    };
    add("ID", property["Id"].clone());
    add(
        "Filter",
        json!({"Prefix": property["Prefix"].as_str().unwrap_or_default()}),
    );
    add("Status", property["Status"].clone());
    for (element, member, name) in DAYS {
        let days = match &property[name] {
            Value::Object(object) => object.get(member).cloned().unwrap_or_default(),
            days => days.clone(),
        };
        if !days.is_null() {
            add(element, json!({ member: days }));
        }
    }
    rule.into()
}
