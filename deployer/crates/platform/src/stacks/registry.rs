//! An image repository for each service.

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::{Stack, kms, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, logical_id};

/// Prefix of the tag that `up` adds to an image before a task definition names it.
pub const DEPLOYED_TAG: &str = "deployed-";
/// Images that a repository retains beside deployed ones.
const RETAINED_IMAGES: u32 = 30;
/// Deployed images that a repository retains: one of them runs, the others are for rollbacks.
const RETAINED_DEPLOYED_IMAGES: u32 = 100;

/// Returns the stack of the repositories; `None` if no image is built.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let mut built = manifest
        .services
        .iter()
        .filter(|service| service.image.is_none())
        .peekable();
    built.peek()?;
    let mut template = Template::new(format!("{}: image repositories", manifest.prefix()));
    let mut inputs = Inputs::default();
    let key = kms::arn(manifest, &mut template, &mut inputs);
    let encryption = key.map(|key| json!({ "EncryptionType": "KMS", "KmsKey": key }));
    let lifecycle = lifecycle().to_string();
    for service in built {
        let repository = Resource::new("AWS::ECR::Repository")
            .with("RepositoryName", format!("{}/{}", manifest.prefix(), service.name))
            .with("ImageScanningConfiguration", json!({ "ScanOnPush": true }))
            .with("ImageTagMutability", "IMMUTABLE")
            .with("LifecyclePolicy", json!({ "LifecyclePolicyText": lifecycle }))
            .with("EmptyOnDelete", true)
            .deleted();
        let repository = kms::encrypting(repository, "EncryptionConfiguration", encryption.clone(), "CKV_AWS_136");
        let repository = template.add(logical_id(&[&service.name, "Repository"]), repository);
        template.output(
            &output(&service.name),
            "URI of the image repository",
            repository.attribute("RepositoryUri"),
        );
    }
    Some(Stack {
        name: name_of(manifest, "registry"),
        short_name: "registry".into(),
        template: template.to_json(),
        parameters: inputs.parameters,
        depends_on: inputs.depends_on,
    })
}

/// Pushes alone never expire an image that is deployed: an image that matches the tags of a rule is not expired by one of lower
/// priority (Amazon ECR User Guide: "Automate the cleanup of images by using lifecycle policies").
fn lifecycle() -> Value {
    let rule = |priority: u32, description: String, tags: Value, count: u32| {
        let mut selection = json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count });
        if !tags.is_null() {
            selection["tagStatus"] = "tagged".into();
            selection["tagPrefixList"] = tags;
        }
        json!({ "rulePriority": priority, "description": description, "selection": selection,
                "action": { "type": "expire" } })
    };
    let deployed = format!("keep the last {RETAINED_DEPLOYED_IMAGES} deployed images");
    let others = format!("keep the last {RETAINED_IMAGES} other images");
    json!({ "rules": [
        rule(1, deployed, json!([DEPLOYED_TAG]), RETAINED_DEPLOYED_IMAGES),
        rule(2, others, Value::Null, RETAINED_IMAGES),
    ] })
}

/// Returns the name of the output with a service's repository URI.
pub fn output(service: &str) -> String {
    logical_id(&[service, "RepositoryUri"])
}
