/**
 * What apt and mmdebstrap 1.3.5 really wrote in each of these failures (Debian 12), with the names of mirror and directory
 * replaced and repetitions cut.
 */
const head = `I: chroot architecture amd64 is equal to the host's architecture
I: finding correct signed-by value...
I: reading sources.list from standard input...
I: automatically chosen format: directory
I: running apt-get update...
`;

const tail = `I: main() received signal PIPE: waiting for setup...
E: mmdebstrap failed to run
`;

export const mmdebstrapOutputs = {
  refused: `${head}Err:1 http://127.0.0.1:9/debian bullseye InRelease
  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)
Reading package lists...
E: Failed to fetch http://127.0.0.1:9/debian/dists/bullseye/InRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)
E: Some index files failed to download. They have been ignored, or old ones used instead.
E: apt-get update --error-on=any -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false failed
${tail}`,
  unresolved: `${head}Err:1 http://mirror.example/debian bullseye InRelease
  Temporary failure resolving 'mirror.example'
Reading package lists...
E: Failed to fetch http://mirror.example/debian/dists/bullseye/InRelease  Temporary failure resolving 'mirror.example'
E: Some index files failed to download. They have been ignored, or old ones used instead.
E: apt-get update --error-on=any -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false failed
${tail}`,
  /** The fetch fails too, but because there is no room. */
  fullWhileFetching: `${head}Get:1 http://mirror.example/debian bullseye InRelease [75.1 kB]
Get:2 http://mirror.example/debian bullseye/main amd64 Packages [8066 kB]
Err:2 http://mirror.example/debian bullseye/main amd64 Packages
  Write error - write (28: No space left on device)
Fetched 8141 kB in 1s (11.7 MB/s)
Reading package lists...
E: Failed to fetch http://mirror.example/debian/dists/bullseye/main/binary-amd64/Packages  Write error - write (28: No space left on device)
E: Some index files failed to download. They have been ignored, or old ones used instead.
E: Write error - write (28: No space left on device)
E: IO Error saving source cache
E: The package lists or status file could not be parsed or opened.
E: apt-get update --error-on=any -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false failed
${tail}`,
  fullWhileUnpacking: `I: extracting archives...
tar: ./usr/lib/x86_64-linux-gnu/perl-base/warnings.pm: Cannot write: No space left on device
tar: ./usr/share/doc/perl/AUTHORS.gz: Cannot write: No space left on device
tar: Exiting with failure status due to previous errors
E: tar --extract failed: 512
${tail}`,
  unsigned: `${head}Get:1 http://mirror.example/debian-security trixie-security InRelease [43.4 kB]
Err:1 http://mirror.example/debian-security trixie-security InRelease
  The following signatures couldn't be verified because the public key is not available: NO_PUBKEY BDE6D2B9216EC7A8 NO_PUBKEY 8E9F831205B4BA95
Reading package lists...
W: GPG error: http://mirror.example/debian-security trixie-security InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY BDE6D2B9216EC7A8 NO_PUBKEY 8E9F831205B4BA95
E: The repository 'http://mirror.example/debian-security trixie-security InRelease' is not signed.
E: apt-get update --error-on=any -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false failed
${tail}`,
  noPackage: `I: installing remaining packages inside the chroot...
Reading package lists...
Building dependency tree...
E: Unable to locate package nosuchpackage
E: setup failed: E: apt-get -o Dir::Bin::dpkg=env --yes install -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false nosuchpackage failed
${tail}`,
} as const;

/** `apt-get indextargets` in netrig's format, on a Debian 12 that has run `apt-get update`. */
export const indexTargets = `Debian\tDebian\tbookworm\tmain\thttp://mirror.example/debian/
Debian\tDebian\tbookworm-updates\tmain\thttp://mirror.example/debian/
Debian\tDebian-Security\tbookworm-security\tmain\thttp://mirror.example/debian-security/
`;

/** With `--no-release-info`, on a machine that has fetched nothing yet; apt leaves the names of fields it has no value for. */
export const indexTargetsBeforeUpdate = `$(ORIGIN)\t$(LABEL)\tbookworm\tmain\thttp://user:secret@127.0.0.1:9/debian/
$(ORIGIN)\t$(LABEL)\tbookworm\tmain\thttp://user:secret@127.0.0.1:9/debian/
$(ORIGIN)\t$(LABEL)\tbookworm\tcontrib\thttp://user:secret@127.0.0.1:9/debian/
$(ORIGIN)\t$(LABEL)\tnoble\tmain\thttp://127.0.0.1:9/ubuntu/
$(ORIGIN)\t$(LABEL)\tbookworm\tstable\thttps://127.0.0.1:9/docker/
$(ORIGIN)\t$(LABEL)\tbookworm-security\tmain\thttp://127.0.0.1:9/debian-security/
$(ORIGIN)\t$(LABEL)\t./\t$(COMPONENT)\thttp://127.0.0.1:9/flat/
$(ORIGIN)\t$(LABEL)\tbookworm\tmain\tcdrom://[Debian GNU/Linux 12]/
`;

/** Lines of `apt-config dump` on a machine with proxies. */
export const aptConfigDump = `APT "";
APT::Architecture "amd64";
Acquire "";
Acquire::Languages "";
Acquire::Languages:: "none";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128/";
Acquire::http::Proxy::local.example "DIRECT";
Acquire::https "";
Acquire::https::CaInfo "/etc/ssl/private-ca.pem";
Acquire::Retries "3";
Dir::Etc::netrc "auth.conf";
DPkg::Post-Invoke:: "/usr/bin/true";
`;
