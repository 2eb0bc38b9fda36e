#!/bin/sh
# Run once by the postgres image, on an empty volume: a role and a database for each service, which nobody else may enter.
set -eu
for service in auth patient billing analytics notification audit; do
    variable=$(echo "$service" | tr '[:lower:]' '[:upper:]')_DATABASE_PASSWORD
    # printenv, and stdin for psql: a password is in no argument that `ps` shows
    password=$(printenv "$variable")
    psql --quiet --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\\set password '$password'
create role $service login password :'password';
create database $service owner $service;
revoke all on database $service from public;
SQL
done
