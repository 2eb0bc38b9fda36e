//! The binary: parse, connect, migrate, serve.

use std::sync::Arc;

use contracts::topics::{NOTIFICATION_GROUP, PATIENT};
use kit::{Server, database, kafka::Subscription, outbox, telemetry};
use notification_service::{
    AppState, Config, MIGRATIONS, config::CLI, describe_metrics, event_handler::PatientEventHandler, openapi, router,
    sender::Sender,
};
use tokio::sync::Notify;

const SUBSCRIPTION: Subscription = Subscription {
    group: NOTIFICATION_GROUP,
    topic: PATIENT,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(CLI.name);
    describe_metrics();

    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;

    let mailer = config.mail.mailer()?;
    if mailer.is_none() {
        tracing::warn!(
            "no mail transport is configured, so notifications are skipped: set MAIL_TRANSPORT and MAIL_FROM, or SMTP_URL and \
             MAIL_FROM"
        );
    }
    let queued = Arc::new(Notify::new());
    let state = AppState {
        kit: kit::AppState::new(&config.token, pool.clone())?,
        queued: queued.clone(),
    };
    let verifier = state.kit.verifier.clone();
    let sender = Sender::new(pool.clone(), mailer, queued.clone());
    let handler = PatientEventHandler {
        pool: pool.clone(),
        queued,
    };

    let outbox_kafka = config.kafka.clone();

    Server::new(CLI.name, &config.serve)
        .routes(router(state))
        .openapi(openapi())
        .database(&pool)
        .tokens(&verifier)
        .consumer(config.kafka, SUBSCRIPTION, handler)?
        .background_task("sender", |shutdown| sender.run(shutdown))
        .background_task("outbox", |shutdown| outbox::relay(pool, outbox_kafka, shutdown))
        .run()
        .await
}
