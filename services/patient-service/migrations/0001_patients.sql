create table patient (
    id uuid primary key,
    name text not null,
    email text not null,
    address text not null,
    date_of_birth date not null,
    registered_date date not null,
    version bigint not null
);

-- One address belongs to one patient, however it is capitalised.
create unique index patient_email on patient (lower(email));
create index patient_by_name on patient (name, id);
create index patient_by_birth on patient (date_of_birth, id);
create index patient_by_registration on patient (registered_date, id);

create table family (
    id uuid primary key,
    name text not null
);
create index family_by_name on family (name, id);

create table family_member (
    family_id uuid not null constraint family_member_family references family on delete cascade,
    patient_id uuid not null constraint family_member_patient references patient on delete cascade,
    primary key (family_id, patient_id)
);
create index family_member_by_patient on family_member (patient_id);
