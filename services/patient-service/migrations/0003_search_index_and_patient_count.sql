-- What keeps lists fast at a million patients. On a table of that size the column and the index take about a minute.

-- A trusted extension (PostgreSQL 13 and later): the owner of the database may create it.
create extension if not exists pg_trgm;

-- Everything that a search looks into, in one column, so that one index and one condition do. The fields are apart by what
-- no search can hold, and each word follows a blank, which is how short searches find the beginnings of words.
alter table patient add column search_text text not null
    generated always as (lower(' ' || name || E' \n ' || email || E' \n ' || address)) stored;
create index patient_search on patient using gin (search_text gin_trgm_ops);

-- How many patients there are, kept in several rows so that writers seldom wait for each other: their sum is exact.
create table patient_count (
    slot smallint primary key,
    patients bigint not null
);
insert into patient_count (slot, patients)
    select slot, case when slot = 0 then (select count(*) from patient) else 0 end from generate_series(0, 15) slot;

create function count_patients() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update patient_count set patients = patients + (select count(*) from changed) where slot = pg_backend_pid() % 16;
    elsif tg_op = 'DELETE' then
        update patient_count set patients = patients - (select count(*) from changed) where slot = pg_backend_pid() % 16;
    else
        update patient_count set patients = 0;
    end if;
    return null;
end $$;

create trigger patient_inserted after insert on patient
    referencing new table as changed for each statement execute function count_patients();
create trigger patient_deleted after delete on patient
    referencing old table as changed for each statement execute function count_patients();
create trigger patient_truncated after truncate on patient for each statement execute function count_patients();
