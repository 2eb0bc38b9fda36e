-- What must leave this service after a commit, and cannot be in the transaction itself.

create table outbox (
    id bigint generated always as identity primary key,
    topic text not null,
    key text not null,
    payload bytea not null,
    traceparent text,
    created_at timestamptz not null default now()
);

-- No reference to patient: the wish to close an account outlives the patient.
create table billing_intent (
    patient_id uuid primary key,
    wanted text not null check (wanted in ('OPEN', 'CLOSED')),
    status text not null default 'PENDING' check (status in ('PENDING', 'ACTIVE', 'CLOSED')),
    account_id text,
    attempts integer not null default 0,
    next_attempt timestamptz not null
);
create index billing_intent_due on billing_intent (next_attempt) where status = 'PENDING';

create table idempotency_key (
    user_id uuid not null,
    route text not null,
    key text not null,
    fingerprint bytea not null,
    answer jsonb not null,
    created_at timestamptz not null default now(),
    primary key (user_id, route, key)
);
create index idempotency_key_age on idempotency_key (created_at);

-- Demo patients are made once: one that somebody deleted must not come back with the next start.
create table demo_seed (
    only_row boolean primary key default true check (only_row)
);
