-- The patient's version whose name and email the account has: calls may arrive in any order, and an older one changes nothing.
alter table accounts add column holder_version bigint not null default 0;
