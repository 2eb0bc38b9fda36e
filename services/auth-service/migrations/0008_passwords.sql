-- Counts changes of the password, not new hashes of the same one.
alter table users add column password_version integer not null default 0;
-- True while the password is the one of AUTH_ADMIN_PASSWORD, so that a new value of the setting may replace it.
alter table users add column password_is_configured boolean not null default false;

-- The digest of the only valid token for a new password of a user.
create table password_resets (
    user_id uuid primary key references users (id) on delete cascade,
    digest bytea not null unique,
    expires_at timestamptz not null
);

-- Requests for a link by mail. An address without an account is stored too, so that the time of a response does not tell it
-- from one with an account: under AES-256-GCM, until the request is handled.
create table password_reset_requests (
    id uuid primary key,
    sealed_email bytea not null,
    by_administrator boolean not null,
    requested_at timestamptz not null,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null
);

create index password_reset_requests_due on password_reset_requests (next_attempt_at);
