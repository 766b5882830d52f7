package PerlXS::MakeMaker;

use 5.022;
use strict;
use warnings;

use Config;
use File::Spec;
use POSIX ();

=head1 NAME

PerlXS::MakeMaker - Makefile.PL for a distribution whose XS is a Rust crate

=head1 SYNOPSIS

    use lib 'perlxs-rs/perl';
    use PerlXS::MakeMaker;

    PerlXS::MakeMaker::write_makefile(
        NAME         => 'Hello',
        VERSION_FROM => 'lib/Hello.pm',
        CRATE        => { library => 'hello' },
    );

    # writes a distribution to start with
    perl -Iperlxs-rs/perl -MPerlXS::MakeMaker=new,Foo-Bar

=head1 DESCRIPTION

C<write_makefile(%arguments)> checks the toolchain, then calls ExtUtils::MakeMaker's
C<WriteMakefile> with C<%arguments> less C<CRATE> and with the rules that build the crate: C<make>
runs C<cargo build --profile release> with C<PERL> set to the perl that ran Makefile.PL and copies the
library to where XSLoader looks for it. It does so when a source file or the Makefile has changed,
and only then, so that C<make install> needs no cargo.

Each perl has a build directory of its own, below C<$CARGO_TARGET_DIR> or F<target>. What is built is
for the host of C<rustc>, whatever cargo's configuration says; for a perl that is another (one of 32
bits, say), run Makefile.PL with C<$CARGO_BUILD_TARGET> set to its target triple. With
C<$PERLXS_PROFILE> it is built with that profile of F<Cargo.toml> in place of C<release>: one that
checks more, for tests, say. The name of a profile that there is not makes C<make> fail, with cargo's
message. The three variables count when Makefile.PL runs, not when make does. The make must be GNU
make.

C<CRATE> is a hash:

=over 4

=item library

The name of the crate's cdylib, without F<lib> and F<.so>.

=item sources

Further files and directories, relative, of which the library is built. Without being named, these
are: F<Cargo.toml>, F<Cargo.lock>, F<src>, F<build.rs> and what it names in a
C<cargo::rerun-if-changed>; and the same of each crate that F<Cargo.toml> has by its path. A file that
is added or removed below a directory counts, too.

=item extra

A list of hashes like C<CRATE>, each with C<cargo> (further arguments of C<cargo build>), C<built>
(the library below the profile's directory), C<installed> (where it goes) and C<target> (the make
target that needs it), for example for a test extension.

=back

C<make dist> puts the crates that F<Cargo.lock> names into the tarball, in F<vendor>, less what
Linux does not need. Where there is a F<vendor>, C<make> takes them from it and asks no network.
A checkout has none. META.json gets C<provides> from the packages in F<lib>.

Where there is no F<Cargo.lock>, cargo makes one: it belongs to what is distributed.

C<perl -MPerlXS::MakeMaker=new,Foo-Bar> writes a new distribution, F<Foo-Bar>, which carries a copy of
this perlxs-rs along, and which builds and passes its tests as it is. It refuses a name that is no
module's, and a directory that is there.

Returns nothing. Dies with what is missing, and the packages that bring it, if the toolchain is not
complete, or which of C<sources> is not there. On another system than Linux it prints that and exits
with 0 without a Makefile, as the CPAN testers expect.

=cut

sub import {
    my ($class, @command) = @_;
    return if !@command;
    my $done = eval {
        my ($command, @arguments) = @command;
        die "there is no '$command', only new,Foo-Bar\n" if $command ne 'new' || @arguments > 1;
        require PerlXS::NewDistribution;
        my $dir = PerlXS::NewDistribution::create(@arguments);
        print "$dir is there: cd $dir && perl Makefile.PL && make && make test\n";
        1;
    };
    # no perl's line after it, of a BEGIN that has failed
    print STDERR "PerlXS::MakeMaker: $@" if !$done;
    exit($done ? 0 : 1);
}

sub write_makefile {
    my (%arguments) = @_;
    my $crate = delete $arguments{CRATE};

    if ($^O ne 'linux') {
        print "OS unsupported: $arguments{NAME} needs Linux, this is $^O\n";
        exit 0;
    }
    check_toolchain(required_rust('Cargo.toml'));
    has_lock_file('.')
        or die "there is no Cargo.lock, a part of the distribution: 'cargo generate-lockfile' makes it"
        . " where the network is\n";

    $arguments{META_MERGE}{'meta-spec'} //= { version => 2 };
    $arguments{META_MERGE}{provides}    //= provides();
    # a tarball of before is no reason to fail
    $arguments{dist}{COMPRESS} //= 'gzip --best --force';

    my ($targets, $rules) = rules($crate);
    my $own = MY->can('postamble');
    no warnings qw(once redefine);
    *MY::postamble = sub { $rules . ($own ? $own->(@_) : '') };
    # early in the Makefile: of several rules for one target make runs the first one first
    *MY::top_targets = sub { package MY; shift->SUPER::top_targets(@_) . $targets };
    ExtUtils::MakeMaker::WriteMakefile(%arguments);
    return;
}

# The rust-version of a Cargo.toml.
sub required_rust {
    my ($file) = @_;
    open my $fh, '<', $file or die "cannot read $file: $!\n";
    while (<$fh>) {
        return $1 if /^rust-version\s*=\s*"([\d.]+)"/;
    }
    die "$file has no rust-version\n";
}

# Prints the versions it finds; dies with a list of what is missing.
sub check_toolchain {
    my ($required) = @_;
    my @missing;

    for my $tool ([ cargo => 'cargo', 'cargo' ], [ rustc => 'rustc', 'rust' ]) {
        my ($command, $debian, $fedora) = @$tool;
        my $version = first_line($command, '--version');
        my $packages = "Debian and Ubuntu: $debian; Fedora: $fedora; or https://rustup.rs";
        if (!defined $version) {
            push @missing, "$command $required or newer ($packages)";
        }
        elsif (!at_least(($version =~ /([\d.]+)/)[0] // 0, $required)) {
            push @missing, "$command $required or newer, not '$version' ($packages)";
        }
        else {
            print "found $version\n";
        }
    }

    my $cc      = $ENV{CC} || 'cc';
    my $version = first_line((split ' ', $cc), '--version');
    if (defined $version) {
        print "found $version\n";
    }
    else {
        push @missing, "a C compiler, '$cc' (Debian and Ubuntu: gcc libc6-dev; Fedora: gcc)";
    }

    my $header = File::Spec->catfile($Config{archlibexp}, 'CORE', 'perl.h');
    if (-e $header) {
        print "found perl $Config{version} for $Config{archname}, with headers\n";
    }
    else {
        push @missing, "perl's headers, $header (Debian and Ubuntu: perl; Fedora: perl-devel)";
    }

    # not in Debian's perl-base, nor in Fedora's perl-interpreter
    for my $module (qw(Digest::MD5 ExtUtils::MakeMaker File::Find)) {
        next if eval "require $module; 1";
        push @missing, "perl's module $module (Debian and Ubuntu: perl; Fedora: perl)";
    }

    die join "\n  ", 'This distribution cannot be built. What is missing:', @missing, "\n"
        if @missing;
    return;
}

# The first line that a command prints, or undef if it cannot be run.
sub first_line {
    my (@command) = @_;
    my $pid = open my $fh, '-|';
    return if !defined $pid;
    if (!$pid) {
        open STDERR, '>', File::Spec->devnull;
        no warnings 'exec';
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    my $line = <$fh>;
    1 while <$fh>;
    return if !close $fh or !defined $line;
    chomp $line;
    return $line;
}

sub at_least {
    my ($version, $required) = map { [ split /\./ ] } @_;
    for my $i (0 .. $#$required) {
        my $order = ($version->[$i] // 0) <=> $required->[$i];
        return $order > 0 if $order;
    }
    return 1;
}

# Whether there is a Cargo.lock in this directory, perhaps a new one: of what cargo has already, or of
# what it gets from the network.
sub has_lock_file {
    my ($dir) = @_;
    return 1 if -e "$dir/Cargo.lock";
    my @command = (qw(cargo generate-lockfile --quiet --manifest-path), "$dir/Cargo.toml");
    for my $offline ([], ['--offline']) {
        first_line(@command, @$offline);
        return 1 if -e "$dir/Cargo.lock";
    }
    return 0;
}

# What the crate in this directory is built of, and the crates that it has by their paths.
sub crate_files {
    my ($dir, $seen) = @_;
    return if $seen->{$dir}++;
    my $within = sub { my ($path) = @_; return $dir eq '.' ? $path : "$dir/$path" };
    my @files = grep { -e } map { $within->($_) } qw(Cargo.toml Cargo.lock src build.rs);
    if (open my $fh, '<', $within->('build.rs')) {
        while (<$fh>) {
            push @files, grep { -e } map { $within->($_) } m{cargo::?rerun-if-changed=([\w./-]+)"}g;
        }
    }
    my $section = '';
    open my $fh, '<', $within->('Cargo.toml') or die 'cannot read ' . $within->('Cargo.toml') . ": $!\n";
    while (<$fh>) {
        $section = $1 if /^\s*\[(.*)\]/;
        push @files, crate_files($within->($1), $seen)
            if $section =~ /dependencies\b/ && /\bpath\s*=\s*"([^"]+)"/;
    }
    return @files;
}

# For make, when it runs: all files of these paths, and the directories, which are newer when a file
# is added or removed.
sub source_files {
    my (@paths) = @_;
    for my $path (@paths) {
        die "CRATE: there is no $path\n" if !-e $path;
    }
    my $paths = join ' ', map { s/'/'\\''/gr =~ s/\$/\$\$/gr =~ s/.*/'$&'/rs } @paths;
    return "\$(shell find $paths ! -name '*~' ! -name '.*.sw?')";
}

# The target triple to build for; none if rustc does not tell.
sub target_triple {
    return $ENV{CARGO_BUILD_TARGET} if length($ENV{CARGO_BUILD_TARGET} // '');
    open my $fh, '-|', qw(rustc -vV) or return '';
    my ($host) = map { /^host: (\S+)/ } <$fh>;
    return $host // '';
}

# META.json's list of packages. Needed by `make dist` only, so where a system has packaged
# Module::Metadata apart from perl, a user can do without.
sub provides {
    return {} if !-d 'lib' or !eval { require Module::Metadata; 1 };
    return Module::Metadata->provides(version => 2, dir => 'lib');
}

# What cargo needs in order to take the crates from vendor/, if there is one.
sub offline {
    return '' if !-d 'vendor';
    return q{--offline --config 'source.crates-io.replace-with="perlxs-vendor"'}
        . q{ --config 'source.perlxs-vendor.directory="vendor"'};
}

# Files of a crate that no build reads; cargo reads nothing of the targets that they belong to.
my $unread = qr{^(?:\.|(?:benches|examples|tests)/|Cargo\.(?:lock|toml\.orig)$|(?!README)[^/]+\.md$)};

# libc describes all systems. These are the parts for Linux, of whatever architecture and C library.
my $libc_linux = qr{^(?!src/)|^src/(?:
    [^/]+\.rs
    | new/(?:mod\.rs|(?:common|glibc|linux_uapi|musl|uclibc)/.+)
    | unix/(?:mod\.rs|linux_like/(?:[^/]+\.rs|linux/.+))
)$}x;

# Makes the vendor/ of a distribution directory smaller, and adds it to MANIFEST there.
sub pack_vendor {
    my ($dir) = @_;
    require ExtUtils::Manifest;
    require File::Find;
    require JSON::PP;
    chdir $dir or die "$dir: $!\n";

    my $json = JSON::PP->new->canonical;
    for my $crate (glob 'vendor/*') {
        my $file = "$crate/.cargo-checksum.json";
        open my $in, '<:raw', $file or die "$file: $!\n";
        my $checksums = $json->decode(do { local $/; <$in> });
        my $files     = $checksums->{files};
        my $is_libc   = $crate =~ m{/libc(?:-[\d.]+)?$};
        my @unneeded  = grep { /$unread/ or $is_libc && !/$libc_linux/ } keys %$files or next;
        for (@unneeded) {
            unlink "$crate/$_" or die "$crate/$_: $!\n";
        }
        delete @$files{@unneeded};
        open my $out, '>:raw', $file or die "$file: $!\n";
        print {$out} $json->encode($checksums);
        close $out or die "$file: $!\n";
    }
    my @files;
    File::Find::finddepth({ no_chdir => 1, wanted => sub { -d $_ ? rmdir $_ : push @files, $_ } }, 'vendor');

    local $ExtUtils::Manifest::Quiet = 1;
    ExtUtils::Manifest::maniadd({ map { $_ => '' } sort @files });
    return;
}

# Where this perl's objects go: no other perl's.
sub target_dir {
    my $base = $ENV{CARGO_TARGET_DIR} // 'target';
    my $digest = Digest::MD5::md5_hex(join "\0", map { $_ // '' } $^X, @Config{qw(archlibexp ccflags)});
    my $dir = File::Spec->catdir($base, "perl-$Config{version}-" . substr $digest, 0, 8);
    return File::Spec->rel2abs($dir);
}

sub rules {
    my ($crate) = @_;
    # two dollars: make takes one
    my $target  = target_dir() =~ s/\$/\$\$/gr;
    my $offline = offline();
    my $library = {
        %$crate,
        cargo     => '--lib',
        built     => "lib$crate->{library}.so",
        installed => '$(INST_ARCHAUTODIR)/$(BASEEXT).so',
        target    => 'dynamic',
    };
    my $triple  = target_triple();
    my $for     = $triple ? "--target $triple " : '';
    my $profile = $ENV{PERLXS_PROFILE} || 'release';
    # for one, cargo has another name for the directory
    my $dir     = $profile eq 'dev' ? 'debug' : $profile;
    my $results = File::Spec->catdir('$(CARGO_TARGET)', $triple || (), $dir);
    my $targets = '';
    my $rules   = <<"MAKE";

CARGO = cargo
CARGO_OFFLINE = $offline
CARGO_TARGET = $target
MAKE
    for my $built ($library, @{ $crate->{extra} // [] }) {
        my %named;
        my $sources = source_files(grep { !$named{$_}++ } crate_files('.', {}), @{ $built->{sources} // [] });
        $targets .= "\n$built->{target} :: $built->{installed}\n";
        $rules .= <<"MAKE";

$built->{installed} : $sources \$(FIRST_MAKEFILE)
	PERL=\$(ABSPERL) \$(CARGO) build --profile $profile --locked \$(CARGO_OFFLINE) $for$built->{cargo} --target-dir "\$(CARGO_TARGET)"
	\$(MKPATH) \$(\@D)
	\$(RM_F) \$\@
	\$(CP) "$results/$built->{built}" \$\@
	\$(CHMOD) \$(PERM_RWX) \$\@
MAKE
    }
    # of the directory that Makefile.PL runs in
    my $lib = $INC{'PerlXS/MakeMaker.pm'} =~ s{/PerlXS/MakeMaker\.pm$}{}r =~ s/\$/\$\$/gr;
    return ($targets, $rules . <<"MAKE");

distdir : distvendor

distvendor : create_distdir distmeta
	[ -d \$(DISTVNAME)/vendor ] || { cd \$(DISTVNAME) && \$(CARGO) vendor --quiet --locked >/dev/null; }
	\$(ABSPERLRUN) "-I$lib" -MPerlXS::MakeMaker -e "PerlXS::MakeMaker::pack_vendor(shift)" \$(DISTVNAME)

clean ::
	- \$(RM_RF) "\$(CARGO_TARGET)"
MAKE
}

1;
