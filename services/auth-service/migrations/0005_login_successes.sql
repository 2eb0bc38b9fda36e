-- Pairs of account and address that have logged in, under the digest that login_failures uses: when an address guesses
-- at many accounts, these are not slowed down with it.
create table login_successes (
    pair bytea primary key,
    last_seen_at timestamptz not null
);

create index login_successes_age on login_successes (last_seen_at);
