-- One row for each pair of account and address, under a digest: neither is readable here.
create table login_failures (
    pair bytea primary key,
    failures integer not null,
    last_failed_at timestamptz not null
);

create index login_failures_age on login_failures (last_failed_at);
