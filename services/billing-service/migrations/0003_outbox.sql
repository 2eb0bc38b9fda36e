-- Audit records of the requests, until they are published.
create table outbox (
    id bigint generated always as identity primary key,
    topic text not null,
    key text not null,
    payload bytea not null,
    traceparent text,
    created_at timestamptz not null default now()
);
