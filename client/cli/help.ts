/** What `--help` prints. */
export const HELP = `Uploads files to moc-uploads, and follows uploads.

Usage:
  moc-uploads upload FILE… --title TITLE   upload files and publish them as one MOC
  moc-uploads resume [SESSION_ID] [FILE…]  continue an interrupted upload
  moc-uploads watch SESSION_ID             follow an upload of another process until it ends
  moc-uploads list                         show the interrupted uploads of this machine
  moc-uploads cancel SESSION_ID            delete what the server has of an interrupted upload

A FILE may begin with its category: instruction:, parts-list:, image: or thumbnail:. Without one, the
name of the file decides. Write ./ before a name that begins like that itself.

Options:
  --base-url URL       origin of the service (MOC_BASE_URL; default http://127.0.0.1:3000)
  --token JWT          access token; better in MOC_TOKEN, because other users can read arguments
  --attempts N         most attempts of one request (default 6)
  --json               one JSON object a line on standard output
  --help, --version

Options of upload and resume:
  --title TEXT, --description TEXT, --theme TEXT
  --tags A,B           at most 20
  --concurrency N      requests with parts at once, 1 to 16 (default 4)

Options of upload:
  --checksums A,B      sha256, md5: computed before a file is sent, verified by the server
  --remove-location    remove from pictures where they were taken

Ctrl-C interrupts an upload; \`resume\` continues it.

Exit status: 0 done; 1 failed; 2 wrong arguments; 128 + N ended by signal N (130 for Ctrl-C).
`;
