//! How a template reaches CloudFormation: in the request, or, where it is too large for that, through a bucket.
//!
//! The bucket is one for each account and region, `deployer-templates-<account>-<region>`: made when it is first needed,
//! closed to the public, encrypted. An object is there for as long as one call needs it; what an interrupted command leaves
//! expires, or goes with `destroy`, which also removes the bucket once nothing is in it.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::target::Aws;
use crate::target::capabilities::Capability;
use crate::target::s3::{self, Bucket};
use crate::template::{MAX_BYTES, MAX_INLINE_BYTES};

/// When S3 removes what was not removed after use, in days.
const DAYS: u32 = 3;
/// How often a bucket that was just made is looked for, until every part of S3 knows it.
const LOOKS: u32 = 10;

/// Whose deployment a template is of: the key in the bucket begins with the platform, so that `destroy` finds its own.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// `<project>-<env>`.
    pub platform: &'a str,
    pub stack: &'a str,
}

/// A template as a request names it: one of `body` and `url` is given.
pub struct Sent {
    pub body: Option<String>,
    pub url: Option<String>,
    stored: Option<(Bucket, String)>,
}

/// Brings a template to where CloudFormation can read it; [`Sent::used`] follows the call that did.
///
/// # Errors
/// Above [`MAX_BYTES`] bytes; where it needs S3 and the endpoint has none; where the bucket's name is another account's.
pub async fn send(aws: &Aws, label: Label<'_>, template: &str) -> Result<Sent> {
    let bytes = template.len();
    if bytes <= MAX_INLINE_BYTES {
        return Ok(Sent {
            body: Some(template.to_owned()),
            url: None,
            stored: None,
        });
    }
    if bytes > MAX_BYTES {
        return Err(Error::TemplateTooLarge {
            stack: label.stack.to_owned(),
            bytes,
        });
    }
    let without = || Error::Unsupported {
        operation: format!(
            "the template of stack {} has {bytes} bytes and must go through S3",
            label.stack
        ),
        message: format!(
            "{} has no S3, and CloudFormation takes {MAX_INLINE_BYTES} bytes in a request",
            aws.endpoint
        ),
    };
    if aws.endpoint.lacks(Capability::LargeTemplates) {
        return Err(without());
    }
    let stored = store(aws, label, template).await;
    let (bucket, key) = stored.map_err(|error| match error {
        Error::Unsupported { .. } => without(),
        error => error,
    })?;
    Ok(Sent {
        body: None,
        url: Some(aws.s3.url(&bucket.name, &key)),
        stored: Some((bucket, key)),
    })
}

impl Sent {
    /// Removes what was put into the bucket. That this fails is no reason to fail: it expires.
    pub async fn used(self, aws: &Aws) {
        if let Some((bucket, key)) = self.stored
            && let Err(error) = aws.s3.delete_object().key(&key).send(&bucket).await
        {
            tracing::debug!(%error, %key, "a template stays in its bucket until it expires");
        }
    }
}

/// Asks CloudFormation whether what was sent is a template.
pub async fn validate(aws: &Aws, sent: Sent) -> Result<()> {
    let request = aws.cloudformation.validate_template();
    let request = request
        .set_template_body(sent.body.clone())
        .set_template_url(sent.url.clone());
    let asked = request.send().await;
    sent.used(aws).await;
    asked.map(drop).map_err(Error::from)
}

/// Puts a template into the bucket. Its key is nobody else's, so that whoever removes it takes it from nobody: a `diff` may
/// send the same template while an `up` does.
async fn store(aws: &Aws, label: Label<'_>, template: &str) -> Result<(Bucket, String)> {
    let bucket = bucket(aws).await?;
    prepare(aws, &bucket).await?;
    let key = format!("{}/{}/{}.json", label.platform, label.stack, Uuid::new_v4().simple());
    let put = || aws.s3.put_object().key(&key).body(template).send(&bucket);
    match put().await {
        // A `destroy` of another platform found it empty meanwhile.
        Err(error) if error.code() == "NoSuchBucket" => {
            prepare(aws, &bucket).await?;
            put().await?;
        }
        ended => _ = ended?,
    }
    Ok((bucket, key))
}

/// The bucket of this account and region, whether it is there or not.
pub async fn bucket(aws: &Aws) -> Result<Bucket> {
    let identity = aws.sts.get_caller_identity().send().await?;
    let owner = identity.account().unwrap_or_default().to_owned();
    Ok(Bucket {
        name: format!("deployer-templates-{owner}-{}", aws.region),
        owner,
    })
}

/// The keys in the bucket; none where there is no bucket.
pub async fn stored(aws: &Aws, bucket: &Bucket) -> Result<Option<Vec<String>>> {
    match aws.s3.list_bucket().send(bucket).await {
        Ok(list) => Ok(Some(s3::elements(&list, "Key").collect())),
        Err(error) if error.code() == "NoSuchBucket" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the bucket where there is none, and sets it right where there is.
async fn prepare(aws: &Aws, bucket: &Bucket) -> Result<()> {
    match close(aws, bucket).await {
        Ok(()) => {}
        Err(error) if error.code() == "NoSuchBucket" => {
            create(aws, bucket).await?;
            let mut looks = 1;
            while let Err(error) = close(aws, bucket).await {
                if error.code() != "NoSuchBucket" || looks == LOOKS {
                    return Err(error);
                }
                looks += 1;
                aws.clock.sleep(aws.pace).await;
            }
        }
        // Not allowed, or another account's: only making it tells these apart.
        Err(denied @ Error::Denied { .. }) => {
            return Err(match create(aws, bucket).await {
                Err(taken) if taken.code() == "BucketAlreadyExists" => taken,
                _ => denied,
            });
        }
        Err(error) => return Err(error),
    }
    let rule = format!(
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><Expiration><Days>{DAYS}</Days>\
         </Expiration><ID>used-templates</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status></Rule>\
         </LifecycleConfiguration>"
    );
    aws.s3
        .put_lifecycle_configuration()
        .body(rule)
        .send(bucket)
        .await
        .map(drop)
}

async fn close(aws: &Aws, bucket: &Bucket) -> Result<()> {
    let all = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
               <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
               <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
               </PublicAccessBlockConfiguration>";
    let request = aws.s3.put_bucket_public_access_block().body(all);
    request.send(bucket).await.map(drop)
}

async fn create(aws: &Aws, bucket: &Bucket) -> Result<()> {
    match aws.s3.create_bucket().send(bucket).await {
        Err(Error::Aws { operation, code, .. }) if code == "BucketAlreadyExists" => Err(Error::Aws {
            operation,
            code,
            message: format!(
                "the bucket {}, through which large templates go, is another account's; nothing was sent there",
                bucket.name
            ),
        }),
        Err(error) if error.code() == "BucketAlreadyOwnedByYou" => Ok(()),
        ended => ended.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::target::scripted::{Call, Scripted, refusal};
    use ui::Ui;

    const LABEL: Label<'_> = Label {
        platform: "shop-dev",
        stack: "shop-dev-network",
    };
    const BUCKET: &str = "/deployer-templates-111122223333-us-east-1";

    /// An S3 that has a bucket or not, and what it was asked.
    #[derive(Default)]
    struct Store {
        is_there: bool,
        asked: Vec<String>,
    }

    fn who(call: &Call) -> Option<(u16, String)> {
        let account = "<GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult>";
        let text = format!("<GetCallerIdentityResponse>{account}</GetCallerIdentityResponse>");
        (call.operation == "GetCallerIdentity").then_some((200, text))
    }

    /// Method and path, without the random name of an object.
    fn told(call: &Call) -> String {
        let path = match call.path.rsplit_once('/') {
            Some((folder, name)) if name.ends_with(".json") => format!("{folder}/*.json"),
            _ => call.path.clone(),
        };
        format!("{} {path}", call.method)
    }

    #[tokio::test]
    async fn a_large_template_is_in_the_bucket_for_as_long_as_one_call_needs_it() {
        let store = Arc::new(Mutex::new(Store::default()));
        let shared = store.clone();
        let endpoint = Scripted::hear(move |call| {
            if let Some(answer) = who(call) {
                return Some(answer);
            }
            let mut store = shared.lock().expect("whole");
            store.asked.push(told(call));
            match call.path.as_str() {
                BUCKET => store.is_there = true,
                _ if !store.is_there => return refusal(404, "NoSuchBucket", "The specified bucket does not exist"),
                _ => {}
            }
            Some((200, String::new()))
        })
        .await;
        let (ui, _) = Ui::recording();
        let aws = endpoint.aws(&ui).await;

        let small = send(&aws, LABEL, "{}").await.expect("nothing to do");
        assert_eq!((small.body.as_deref(), small.url.as_deref()), (Some("{}"), None));
        small.used(&aws).await;
        assert!(
            store.lock().expect("whole").asked.is_empty(),
            "no bucket for a small one"
        );

        let sent = send(&aws, LABEL, &" ".repeat(MAX_INLINE_BYTES + 1))
            .await
            .expect("it is stored");
        let url = sent.url.clone().expect("a URL");
        assert!(
            sent.body.is_none() && url.starts_with(&format!("{}{BUCKET}/shop-dev/shop-dev-network/", endpoint.url())),
            "{url}"
        );
        sent.used(&aws).await;
        let object = format!("{BUCKET}/shop-dev/shop-dev-network/*.json");
        let expected = [
            format!("PUT {BUCKET}?publicAccessBlock"),
            format!("PUT {BUCKET}"),
            format!("PUT {BUCKET}?publicAccessBlock"),
            format!("PUT {BUCKET}?lifecycle"),
            format!("PUT {object}"),
            format!("DELETE {object}"),
        ];
        assert_eq!(store.lock().expect("whole").asked, expected);
    }

    #[tokio::test]
    async fn nothing_is_sent_to_a_bucket_of_somebody_else() {
        let endpoint = Scripted::hear(|call| {
            who(call).or_else(|| match call.path.as_str() {
                BUCKET => refusal(
                    409,
                    "BucketAlreadyExists",
                    "The requested bucket name is not available.",
                ),
                path if path.contains('?') => refusal(403, "AccessDenied", "Access Denied"),
                path => panic!("{path} was not expected"),
            })
        })
        .await;
        let (ui, _) = Ui::recording();
        let aws = endpoint.aws(&ui).await;
        let refused = send(&aws, LABEL, &" ".repeat(MAX_BYTES)).await.err().expect("an error");
        assert!(
            refused.to_string().contains("is another account's; nothing was sent"),
            "{refused}"
        );
        assert!(refused.hint().is_some_and(|hint| hint.contains("another region")));
    }

    #[tokio::test]
    async fn without_s3_and_above_a_megabyte_the_size_is_told() {
        let endpoint = Scripted::hear(|call| who(call).or_else(|| refusal(501, "NotImplemented", "no S3 here"))).await;
        let (ui, _) = Ui::recording();
        let aws = endpoint.aws(&ui).await;
        let told = async |bytes: usize| match send(&aws, LABEL, &" ".repeat(bytes)).await {
            Err(error) => error.to_string(),
            Ok(_) => panic!("nothing can have taken it"),
        };
        let lacking = told(60_000).await;
        assert!(
            lacking.contains("shop-dev-network has 60000 bytes") && lacking.contains("has no S3"),
            "{lacking}"
        );
        let huge = told(MAX_BYTES + 1).await;
        assert!(
            huge.contains("has 1000001 bytes; CloudFormation takes 1,000,000"),
            "{huge}"
        );
    }
}
