//! The environment variables of IAM that every AWS SDK reads; ECS sets them for a task.

use secrecy::SecretString;

/// Identity of this process for IAM (AWS SDKs and Tools Reference Guide, "Settings reference").
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "aws")]
#[command(next_help_heading = "AWS")]
pub struct IamArgs {
    /// Region of Amazon SES, and of the brokers for `msk-iam`, by default from their names
    #[arg(id = "aws_region", long = "aws-region", env = "AWS_REGION")]
    pub region: Option<String>,
    /// Path of the task role's credentials at the address of ECS, which sets it
    #[arg(
        id = "aws_container_credentials_relative_uri",
        long = "aws-container-credentials-relative-uri",
        env = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    )]
    pub relative_uri: Option<String>,
    /// Complete URL of the credentials, where a provider other than ECS serves them
    #[arg(
        id = "aws_container_credentials_full_uri",
        long = "aws-container-credentials-full-uri",
        env = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    )]
    pub full_uri: Option<String>,
    /// Authorization header for that URL
    #[arg(
        id = "aws_container_authorization_token",
        long = "aws-container-authorization-token",
        env = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        hide_env_values = true
    )]
    pub authorization: Option<SecretString>,
    /// Access key, outside a task; takes precedence over the task role
    #[arg(id = "aws_access_key_id", long = "aws-access-key-id", env = "AWS_ACCESS_KEY_ID")]
    pub access_key_id: Option<String>,
    /// Secret of the access key
    #[arg(
        id = "aws_secret_access_key",
        long = "aws-secret-access-key",
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true
    )]
    pub secret_access_key: Option<SecretString>,
    /// Session token of a temporary access key
    #[arg(
        id = "aws_session_token",
        long = "aws-session-token",
        env = "AWS_SESSION_TOKEN",
        hide_env_values = true
    )]
    pub session_token: Option<SecretString>,
    /// URL of the AWS services, such as of an endpoint for development; by default the public one of the region
    #[arg(id = "aws_endpoint_url", long = "aws-endpoint-url", env = "AWS_ENDPOINT_URL")]
    pub endpoint_url: Option<String>,
    /// URL of Secrets Manager, such as of a VPC endpoint without private DNS; takes precedence over `AWS_ENDPOINT_URL`
    #[arg(
        id = "aws_endpoint_url_secrets_manager",
        long = "aws-endpoint-url-secrets-manager",
        env = "AWS_ENDPOINT_URL_SECRETS_MANAGER"
    )]
    pub secrets_manager_url: Option<String>,
    /// URL of Amazon SES; takes precedence over `AWS_ENDPOINT_URL`
    #[arg(
        id = "aws_endpoint_url_sesv2",
        long = "aws-endpoint-url-sesv2",
        env = "AWS_ENDPOINT_URL_SESV2"
    )]
    pub ses_url: Option<String>,
}
