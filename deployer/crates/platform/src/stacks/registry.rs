//! An image repository for each service.

use serde_json::json;

use super::inputs::Inputs;
use super::{Stack, kms, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, logical_id};

/// Images that a repository retains: enough for rollbacks.
const RETAINED_IMAGES: u32 = 30;

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
    let lifecycle = json!({ "rules": [{
        "rulePriority": 1,
        "description": format!("keep the last {RETAINED_IMAGES}"),
        "selection": { "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": RETAINED_IMAGES },
        "action": { "type": "expire" },
    }] });
    for service in built {
        let repository = Resource::new("AWS::ECR::Repository")
            .with("RepositoryName", format!("{}/{}", manifest.prefix(), service.name))
            .with("ImageScanningConfiguration", json!({ "ScanOnPush": true }))
            .with("ImageTagMutability", "IMMUTABLE")
            .with(
                "LifecyclePolicy",
                json!({ "LifecyclePolicyText": lifecycle.to_string() }),
            )
            .with("EmptyOnDelete", true)
            .deleted();
        let repository = kms::encrypting(repository, "EncryptionConfiguration", encryption.clone(), "CKV_AWS_136");
        let repository = template.add(logical_id(&[&service.name, "Repository"]), repository);
        template.output(
            &output(&service.name),
            "Where the image is pushed",
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

/// Returns the name of the output with a service's repository URI.
pub fn output(service: &str) -> String {
    logical_id(&[service, "RepositoryUri"])
}
