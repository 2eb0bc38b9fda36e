//! Settings of a bucket: conversion between the API's XML and the properties of `AWS::S3::Bucket`, so that clients and
//! drift detection see the same settings.

use serde_json::{Map, Value, json};

use super::xml;
use crate::AwsError;
use crate::records::Record;

/// A setting that the API can put and get.
pub struct Setting {
    /// The noun in the operation's name, as in `PutPublicAccessBlock`.
    pub noun: &'static str,
    /// The root element of its XML document.
    pub root: &'static str,
    pub property: &'static str,
    /// Converts a document to the property.
    pub from_xml: fn(&Value) -> Result<Value, AwsError>,
    /// Converts the property to a document; returns an error if it is not set and S3 has no default.
    pub to_xml: fn(Option<&Value>) -> Result<Value, AwsError>,
}

pub const SETTINGS: [Setting; 3] = [
    Setting {
        noun: "PublicAccessBlock",
        root: "PublicAccessBlockConfiguration",
        property: "PublicAccessBlockConfiguration",
        from_xml: |document| Ok(access(|name| document[name] == "true")),
        // Every new bucket blocks public access (Amazon S3 User Guide: "Blocking public access to your Amazon S3
        // storage").
        to_xml: |property| {
            Ok(access(|name| {
                property.is_none_or(|all| all[name] == true || all[name] == "true")
            }))
        },
    },
    Setting {
        noun: "BucketEncryption",
        root: "ServerSideEncryptionConfiguration",
        property: "BucketEncryption",
        from_xml: |document| {
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
        to_xml: |property| {
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
        from_xml: |document| {
            let rules = xml::list(&document["Rule"]).into_iter().map(rule_from_xml);
            Ok(json!({"Rules": rules.collect::<Result<Vec<Value>, AwsError>>()?}))
        },
        to_xml: |property| {
            let Some(rules) = property.and_then(|all| all["Rules"].as_array()) else {
                let message = "The lifecycle configuration does not exist";
                return Err(AwsError::new("NoSuchLifecycleConfiguration", message).with_status(404));
            };
            Ok(json!({"Rule": rules.iter().map(rule_to_xml).collect::<Vec<Value>>()}))
        },
    },
];

/// Returns the encryption of an object whose upload does not name one.
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

/// An element of the API with a number of days, its member, and the CloudFormation property for it.
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

/// Converts a lifecycle rule of the API to the property; returns an error if a part of it is not supported here.
fn rule_from_xml(rule: &Value) -> Result<Value, AwsError> {
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
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(AwsError::new("MalformedXML", message));
    }
    Ok(property.into())
}

fn is_positive(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|days| days > 0)
}

/// Converts the property of a lifecycle rule to the API's.
fn rule_to_xml(property: &Value) -> Value {
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
