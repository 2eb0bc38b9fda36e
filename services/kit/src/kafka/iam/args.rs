//! The variables of IAM, as every AWS SDK knows them; ECS sets them for a task.

use secrecy::SecretString;

/// Who this process is to IAM (AWS SDKs and Tools Reference Guide, "Settings reference").
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct IamArgs {
    /// Region of the brokers, for `msk-iam`; their names tell it, too
    #[arg(id = "aws_region", long = "aws-region", env = "AWS_REGION")]
    pub region: Option<String>,
    /// Where the credentials of the task's role are: ECS sets it, a path on its own address
    #[arg(
        id = "aws_container_credentials_relative_uri",
        long = "aws-container-credentials-relative-uri",
        env = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    )]
    pub relative_uri: Option<String>,
    /// The same as a whole address, where something else than ECS gives them
    #[arg(
        id = "aws_container_credentials_full_uri",
        long = "aws-container-credentials-full-uri",
        env = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    )]
    pub full_uri: Option<String>,
    /// What that address wants to be shown
    #[arg(
        id = "aws_container_authorization_token",
        long = "aws-container-authorization-token",
        env = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        hide_env_values = true
    )]
    pub authorization: Option<SecretString>,
    /// Access key, for `msk-iam` outside of a task; wins over the task's role
    #[arg(id = "aws_access_key_id", long = "aws-access-key-id", env = "AWS_ACCESS_KEY_ID")]
    pub access_key_id: Option<String>,
    /// Its secret
    #[arg(
        id = "aws_secret_access_key",
        long = "aws-secret-access-key",
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true
    )]
    pub secret_access_key: Option<SecretString>,
    /// The token of a temporary access key
    #[arg(
        id = "aws_session_token",
        long = "aws-session-token",
        env = "AWS_SESSION_TOKEN",
        hide_env_values = true
    )]
    pub session_token: Option<SecretString>,
}
