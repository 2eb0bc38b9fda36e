-- The authenticator of a user (RFC 6238); a login asks for it once it is confirmed.
create table totp (
    user_id uuid primary key references users (id) on delete cascade,
    -- 20 bytes under AES-256-GCM: nonce, ciphertext, tag; the user's id is authenticated with it.
    sealed_secret bytea not null,
    is_confirmed boolean not null default false,
    -- The time step of the newest accepted code: neither it nor an older one is accepted again.
    last_step bigint not null default 0
);

-- Codes for a login without the authenticator, as digests; each is deleted when it is used.
create table totp_recovery_codes (
    digest bytea primary key,
    user_id uuid not null references totp (user_id) on delete cascade
);

create index totp_recovery_codes_user on totp_recovery_codes (user_id);
