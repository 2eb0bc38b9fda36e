//! Upload of templates: a template is sent in the request, or, if it is too large for that, through a bucket.
//!
//! There is one bucket for each account and region, `deployer-templates-<account>-<region>`: created when it is first needed, without
//! public access, encrypted. An object exists as long as one call needs it. Objects of interrupted commands expire, or `destroy`
//! deletes them; it also deletes the bucket once it is empty.

use cfn::template::{MAX_BYTES, MAX_INLINE_BYTES};
use uuid::Uuid;

use super::error::{Error, Result};
use crate::account;
use crate::endpoint::Capability;
use crate::s3::{self, Bucket};
use crate::session::Session;

/// Days after which S3 deletes objects that were not deleted after use.
const EXPIRY_DAYS: u32 = 3;
/// Maximum polls until every part of S3 knows a bucket that was just created.
const MAX_POLLS: u32 = 10;

/// The owner of a template: the key in the bucket begins with the platform, so that `destroy` finds its objects.
#[derive(Debug, Clone, Copy)]
pub struct TemplateKey<'a> {
    /// `<project>-<env>`.
    pub platform: &'a str,
    /// The name of the stack.
    pub stack: &'a str,
}

/// A template as a request names it: either `body` or `url` is set.
pub struct UploadedTemplate {
    /// The template itself, if it fits into a request.
    pub body: Option<String>,
    /// The URL of the template in S3 otherwise.
    pub url: Option<String>,
    stored: Option<(Bucket, String)>,
}

/// Uploads a template if it is too large for a request; the caller calls [`UploadedTemplate::remove`] after use.
///
/// # Errors
/// It has more than [`MAX_BYTES`] bytes, it needs S3 and the endpoint has none, or the bucket belongs to another account.
pub async fn upload_template(aws: &Session, key: TemplateKey<'_>, template: &str) -> Result<UploadedTemplate> {
    let bytes = template.len();
    if bytes <= MAX_INLINE_BYTES {
        return Ok(UploadedTemplate {
            body: Some(template.to_owned()),
            url: None,
            stored: None,
        });
    }
    if bytes > MAX_BYTES {
        return Err(Error::TemplateTooLarge {
            stack: key.stack.to_owned(),
            bytes,
        });
    }
    let no_storage = || Error::NoTemplateStorage {
        stack: key.stack.to_owned(),
        bytes,
        endpoint: aws.endpoint().to_string(),
    };
    if aws.endpoint().lacks(Capability::LargeTemplates) {
        return Err(no_storage());
    }
    let stored = store(aws, key, template).await;
    let (bucket, object) = stored.map_err(|error| match error {
        Error::Request(crate::Error::Unsupported { .. }) => no_storage(),
        error => error,
    })?;
    Ok(UploadedTemplate {
        body: None,
        url: Some(aws.s3.url(&bucket.name, &object)),
        stored: Some((bucket, object)),
    })
}

impl UploadedTemplate {
    /// Deletes the object, if there is one. A failure is only logged: the object expires.
    pub async fn remove(self, aws: &Session) {
        if let Some((bucket, key)) = self.stored
            && let Err(error) = aws.s3.delete_object().key(&key).send(&bucket).await
        {
            tracing::debug!(%error, %key, "a template stays in its bucket until it expires");
        }
    }
}

/// Validates a template and deletes its upload.
///
/// # Errors
/// CloudFormation rejects the template, or a request fails.
pub async fn validate_template(aws: &Session, template: UploadedTemplate) -> Result<(), crate::Error> {
    let request = aws.cloudformation.validate_template();
    let request = request
        .set_template_body(template.body.clone())
        .set_template_url(template.url.clone());
    let validated = request.send().await;
    template.remove(aws).await;
    validated?;
    Ok(())
}

/// Stores a template under a random key, so that deleting it never affects another command that stores the same template.
async fn store(aws: &Session, key: TemplateKey<'_>, template: &str) -> Result<(Bucket, String)> {
    let bucket = template_bucket(aws).await?;
    prepare(aws, &bucket).await?;
    let key = format!("{}/{}/{}.json", key.platform, key.stack, Uuid::new_v4().simple());
    let put = || aws.s3.put_object().key(&key).body(template).send(&bucket);
    match put().await {
        // The `destroy` of another platform has deleted the empty bucket in the meantime.
        Err(error) if error.code() == "NoSuchBucket" => {
            prepare(aws, &bucket).await?;
            put().await?;
        }
        result => _ = result?,
    }
    Ok((bucket, key))
}

/// Returns the bucket of this account and region, whether or not it exists.
///
/// # Errors
/// The request for the account fails.
pub async fn template_bucket(aws: &Session) -> Result<Bucket, crate::Error> {
    let owner = account::id(aws).await?;
    Ok(Bucket {
        name: format!("deployer-templates-{owner}-{}", aws.region()),
        owner,
    })
}

/// Returns the keys in the bucket; `None` if it does not exist.
///
/// # Errors
/// The request fails.
pub async fn stored_templates(aws: &Session, bucket: &Bucket) -> Result<Option<Vec<String>>, crate::Error> {
    match aws.s3.list_bucket().send(bucket).await {
        Ok(list) => Ok(Some(s3::keys(&list))),
        Err(error) if error.code() == "NoSuchBucket" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes a stored template.
///
/// # Errors
/// The request fails.
pub async fn delete_template(aws: &Session, bucket: &Bucket, key: &str) -> Result<(), crate::Error> {
    aws.s3.delete_object().key(key).send(bucket).await.map(drop)
}

/// Deletes the bucket, unless another command has stored a template in the meantime.
///
/// # Errors
/// The request fails.
pub async fn delete_template_bucket(aws: &Session, bucket: &Bucket) -> Result<(), crate::Error> {
    match aws.s3.delete_bucket().send(bucket).await {
        Err(error) if error.code() == "BucketNotEmpty" => Ok(()),
        result => result.map(drop),
    }
}

/// Creates the bucket if it does not exist, and configures it.
async fn prepare(aws: &Session, bucket: &Bucket) -> Result<()> {
    match block_public_access(aws, bucket).await {
        Ok(()) => {}
        Err(error) if error.code() == "NoSuchBucket" => {
            create(aws, bucket).await?;
            let mut polls = 1;
            while let Err(error) = block_public_access(aws, bucket).await {
                if error.code() != "NoSuchBucket" || polls == MAX_POLLS {
                    return Err(error.into());
                }
                polls += 1;
                aws.clock().sleep(aws.poll_interval()).await;
            }
        }
        // A missing permission, or another account's bucket: only the attempt to create it shows which.
        Err(denied @ crate::Error::Denied { .. }) => {
            return Err(match create(aws, bucket).await {
                Err(foreign @ Error::ForeignTemplateBucket { .. }) => foreign,
                _ => denied.into(),
            });
        }
        Err(error) => return Err(error.into()),
    }
    let request = aws.s3.put_lifecycle_configuration().expiration_days(EXPIRY_DAYS);
    request.send(bucket).await?;
    Ok(())
}

async fn block_public_access(aws: &Session, bucket: &Bucket) -> Result<(), crate::Error> {
    aws.s3.put_bucket_public_access_block().send(bucket).await.map(drop)
}

async fn create(aws: &Session, bucket: &Bucket) -> Result<()> {
    match aws.s3.create_bucket().send(bucket).await {
        Err(error) if error.code() == "BucketAlreadyExists" => Err(Error::ForeignTemplateBucket {
            bucket: bucket.name.clone(),
        }),
        Err(error) if error.code() != "BucketAlreadyOwnedByYou" => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::testing::{Call, FakeAws, error_response};

    const KEY: TemplateKey<'_> = TemplateKey {
        platform: "shop-dev",
        stack: "shop-dev-network",
    };
    const BUCKET: &str = "/deployer-templates-111122223333-us-east-1";

    /// An S3 that has the bucket or not, and the requests that it received.
    #[derive(Default)]
    struct Store {
        exists: bool,
        requests: Vec<String>,
    }

    fn identity(call: &Call) -> Option<(u16, String)> {
        let account = "<GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult>";
        let text = format!("<GetCallerIdentityResponse>{account}</GetCallerIdentityResponse>");
        (call.operation == "GetCallerIdentity").then_some((200, text))
    }

    /// Returns method and path, without the random name of an object.
    fn line(call: &Call) -> String {
        let path = match call.path.rsplit_once('/') {
            Some((folder, name))
                if std::path::Path::new(name)
                    .extension()
                    .is_some_and(|extension| extension == "json") =>
            {
                format!("{folder}/*.json")
            }
            _ => call.path.clone(),
        };
        format!("{} {path}", call.method)
    }

    #[tokio::test]
    async fn a_large_template_is_in_the_bucket_as_long_as_one_call_needs_it() {
        let store = Arc::new(Mutex::new(Store::default()));
        let shared = store.clone();
        let endpoint = FakeAws::start(move |call| {
            if let Some(response) = identity(call) {
                return Some(response);
            }
            let mut store = shared.lock();
            store.requests.push(line(call));
            match call.path.as_str() {
                BUCKET => store.exists = true,
                _ if !store.exists => {
                    return error_response(404, "NoSuchBucket", "The specified bucket does not exist");
                }
                _ => {}
            }
            Some((200, String::new()))
        })
        .await;
        let aws = endpoint.session().await;

        let small = upload_template(&aws, KEY, "{}").await.expect("nothing to upload");
        assert_eq!((small.body.as_deref(), small.url.as_deref()), (Some("{}"), None));
        small.remove(&aws).await;
        assert!(store.lock().requests.is_empty(), "a small template needs no bucket");

        let large = upload_template(&aws, KEY, &" ".repeat(MAX_INLINE_BYTES + 1))
            .await
            .expect("an upload");
        let url = large.url.clone().expect("a URL");
        assert!(
            large.body.is_none() && url.starts_with(&format!("{}{BUCKET}/shop-dev/shop-dev-network/", endpoint.url())),
            "{url}"
        );
        large.remove(&aws).await;
        let object = format!("{BUCKET}/shop-dev/shop-dev-network/*.json");
        let expected = [
            format!("PUT {BUCKET}?publicAccessBlock"),
            format!("PUT {BUCKET}"),
            format!("PUT {BUCKET}?publicAccessBlock"),
            format!("PUT {BUCKET}?lifecycle"),
            format!("PUT {object}"),
            format!("DELETE {object}"),
        ];
        assert_eq!(store.lock().requests, expected);
    }

    #[tokio::test]
    async fn nothing_is_uploaded_to_the_bucket_of_another_account() {
        let endpoint = FakeAws::start(|call| {
            identity(call).or_else(|| match call.path.as_str() {
                BUCKET => error_response(
                    409,
                    "BucketAlreadyExists",
                    "The requested bucket name is not available.",
                ),
                path if path.contains('?') => error_response(403, "AccessDenied", "Access Denied"),
                path => panic!("{path} was not expected"),
            })
        })
        .await;
        let aws = endpoint.session().await;
        let error = upload_template(&aws, KEY, &" ".repeat(MAX_BYTES)).await.err();
        assert!(
            matches!(&error, Some(Error::ForeignTemplateBucket { bucket }) if bucket.ends_with("us-east-1")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_template_without_storage_or_above_a_megabyte_is_an_error_with_its_size() {
        let endpoint =
            FakeAws::start(|call| identity(call).or_else(|| error_response(501, "NotImplemented", "no S3 here"))).await;
        let aws = endpoint.session().await;
        let error = async |bytes: usize| upload_template(&aws, KEY, &" ".repeat(bytes)).await.err();
        let no_storage = error(60_000).await;
        assert!(
            matches!(&no_storage, Some(Error::NoTemplateStorage { stack, bytes: 60_000, .. }) if stack == KEY.stack),
            "{no_storage:?}"
        );
        let too_large = error(MAX_BYTES + 1).await;
        assert!(
            matches!(&too_large, Some(Error::TemplateTooLarge { bytes: 1_000_001, .. })),
            "{too_large:?}"
        );
    }
}
