-- The ETag of a family: increases with each change of what clients see of it.
alter table family add column version bigint not null default 1;
