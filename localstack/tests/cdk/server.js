// The program of the image: the image's own release, the revision of the template, and whether the secret came along.
const { RELEASE, REVISION, DATABASE, PASSWORD, HOST } = process.env;
require('http')
  .createServer((request, response) => response.end(JSON.stringify({ release: RELEASE, revision: REVISION, database: DATABASE, secret: Boolean(PASSWORD) })))
  // The endpoint gives each task an address of this machine.
  .listen(8080, HOST || '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
