# Perl code that leaves by all ways there are, out of each function of the shim that runs any: what
# Rust holds meanwhile is dropped once, what perl holds is freed once, and perl's stacks are level.
# A new function of the shim must be named here.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use B ();
use Config;
use File::Spec;
use File::Temp ();
use POSIX ();
use Time::HiRes ();
use PerlIO::scalar ();
use PerlXS::Test qw(array ask bytes call call_list catch coderef copy count croaks deaf depths dropped elements entries fd file_name flags flush_all
    guest hash in_child is_true late load_module made method new_hash number optional panics raise referent set sleeping_read stop sv_count text uneven
    variable);

# Loop control out of what is no loop is what this is about.
no warnings qw(exiting once recursion);

# ---- what leaves ----

our $destroyed = 0;
our $report;
package Error  { sub new { my ($class, $code) = @_; return bless [$code], $class } sub DESTROY { $main::destroyed++; $_[0][0]->() if $_[0][0]; return } }
package False  { our @ISA = 'Error'; use overload 'bool' => sub { 0 }, '""' => sub { '' }, fallback => 1 }
package main;

# A name, what leaves, and what $@ is then. Those with an object are destroyed once.
my @dies = (
    [ 'a die',                              sub { die "a\n" },                               qr/^a\n/ ],
    [ 'a die of an object',                 sub { die Error->new },                          'Error' ],
    [ 'a die of one whose DESTROY dies',    sub { die Error->new(sub { die "in DESTROY\n" }) }, 'Error' ],
    [ 'a die of one that is false',         sub { die False->new },                          'False' ],
    [ 'a die of nothing',                   sub { $@ = ''; die '' },                         qr/^Died at / ],
    [ 'a die after an eval',                sub { eval { die "inner\n" }; die "b\n" },       qr/^b\n/ ],
    [ 'a die in string eval, passed on',    sub { eval q{ die "c\n" } or die $@ },           qr/^c\n/ ],
    [ 'a die in a sort',                    sub { my @s = sort { die "d\n" } 1, 2; 1 },      qr/^d\n/ ],
    [ 'a die in a pattern',                 sub { 'x' =~ /x(?{ die "e\n" })/ },              qr/^e\n/ ],
    [ 'a die in a signal handler',          sub { local $SIG{USR1} = sub { die "f\n" }; kill USR1 => $$; 1 for 1 .. 3 }, qr/^f\n/ ],
    [ 'a die in an immediate one',          sub { immediate(sub { die "g\n" }, sub { kill USR1 => $$ }) }, qr/^g\n/ ],
    [ 'a die with a hook',                  sub { local $SIG{__DIE__} = sub { die "h\n" }; die "not h\n" }, qr/^h\n/ ],
    [ 'a die in a warn hook',               sub { local $SIG{__WARN__} = sub { die "i\n" }; warn "not i\n" }, qr/^i\n/ ],
    [ 'a die deeper in Rust',               sub { call(sub { call(sub { call(sub { die "j\n" }) }) }) }, qr/^j\n/ ],
    [ 'a die at each depth',                sub { catch(sub { catch(sub { die Error->new }); die Error->new }); die Error->new }, 'Error' ],
    [ 'a croak of Rust',                    sub { croaks("k\n") },                           qr/^k\n/ ],
    [ 'a panic of Rust',                    sub { panics("l\n") },                           qr/^l\n/ ],
    [ 'a goto to an XSUB that croaks',      sub { @_ = "m\n"; goto &croaks },                qr/^m\n/ ],
    [ 'a method that is not there',         sub { Error->nosuch },                           qr/^Can't locate object method/ ],
    [ 'last',                               sub { last },                                    qr/^Can't "last" outside a loop block/ ],
    [ 'next',                               sub { next },                                    qr/^Can't "next" outside a loop block/ ],
    [ 'redo',                               sub { redo },                                    qr/^Can't "redo" outside a loop block/ ],
    [ 'last TURN',                          sub { last TURN },                               qr/^Label not found for "last TURN"/ ],
    [ 'next TURN',                          sub { next TURN },                               qr/^Label not found for "next TURN"/ ],
    [ 'goto AFTER',                         sub { goto AFTER },                              qr/^Can't (?:find label AFTER|"goto" out of a pseudo block)/ ],
    [ 'last deeper in Rust',                sub { call(sub { last TURN }) },                 qr/^Label not found for "last TURN"/ ],
);

# Runs the code with a handler for SIGUSR1 that perl does not defer.
sub immediate {
    my ($handler, $code) = @_;
    my $old = POSIX::SigAction->new;
    my $action = POSIX::SigAction->new($handler, POSIX::SigSet->new, 0);
    POSIX::sigaction(&POSIX::SIGUSR1, $action, $old);
    my $result = eval { $code->(); 1 };
    my $error = $@;
    POSIX::sigaction(&POSIX::SIGUSR1, $old);
    # what a longjmp out of a handler leaves blocked
    POSIX::sigprocmask(&POSIX::SIG_UNBLOCK, POSIX::SigSet->new(&POSIX::SIGUSR1));
    die $error if !$result;
    return;
}

# ---- where it is run ----

# Each of these does everything that it may do by calling a coderef.
package Leaving {
    sub by { my ($class, @code) = @_; return bless [@code], $class }
    sub TIESCALAR { my ($class, @code) = @_; return $class->by(@code) }
    # the last of them goes on; those before it are for the first times
    sub leave { my ($self) = @_; my $code = @$self > 1 ? shift @$self : $self->[0]; return $code->() }
}
package Fetch   { our @ISA = 'Leaving'; sub FETCH { $_[0]->leave } sub STORE { } }
package Store   { our @ISA = 'Leaving'; sub FETCH { 1 } sub STORE { $_[0]->leave } }
package Over    { our @ISA = 'Leaving'; my $l = sub { $_[0]->leave }; use overload map { $_ => sub { Leaving::leave($_[0]) } } qw("" 0+ bool &{} *{}) }
package Deref   { use overload '@{}' => sub { ${ $_[0] }->() }, '%{}' => sub { ${ $_[0] }->() } }
package Scalars { use overload '${}' => sub { $_[0][0]->() } }
package Destroy { our @ISA = 'Leaving'; sub DESTROY { $_[0]->leave } }
package Handle  { our @ISA = 'Leaving'; sub TIEHANDLE { goto &Leaving::TIESCALAR } sub FILENO { $_[0]->leave } }
package Array   { sub TIEARRAY { my ($class, $code, $method) = @_; return bless { $method => $code }, $class }
    our $AUTOLOAD; sub FETCHSIZE { $_[0]{FETCHSIZE} ? $_[0]{FETCHSIZE}->() : 1 } sub FETCH { $_[0]{FETCH} ? $_[0]{FETCH}->() : 1 } sub EXTEND { } sub DESTROY { }
    sub AUTOLOAD { my ($method) = $AUTOLOAD =~ /(\w+)$/; return $_[0]{$method} ? $_[0]{$method}->() : 1 } }
package Hash    { sub TIEHASH { my ($class, $code, $method) = @_; return bless { $method => $code }, $class }
    our $AUTOLOAD; sub FIRSTKEY { $_[0]{FIRSTKEY} ? $_[0]{FIRSTKEY}->() : 'a' } sub NEXTKEY { $_[0]{NEXTKEY} ? $_[0]{NEXTKEY}->() : undef } sub DESTROY { }
    sub AUTOLOAD { my ($method) = $AUTOLOAD =~ /(\w+)$/; return $_[0]{$method} ? $_[0]{$method}->() : 1 } }
package PerlIO::via::Leaving { our $code; sub PUSHED { bless [], $_[0] } sub WRITE { length $_[1] } sub FLUSH { my $c = $code; undef $code; return $c ? $c->() : 0 } }
package Autoload { our $code; our $AUTOLOAD; sub AUTOLOAD { return if $AUTOLOAD =~ /::DESTROY$/; $code->() } }
package main;

sub fetch { my (@code) = @_; tie my $tied, 'Fetch', @code; return \$tied }
sub tied_array { my ($code, $method) = @_; tie my @tied, 'Array', $code, $method; return \@tied }
sub tied_hash { my ($code, $method) = @_; tie my %tied, 'Hash', $code, $method; return \%tied }

# For each function of the shim that may run perl code: calls that make it run the coderef that
# they get. `quiet` are those where a die is not heard, since perl does not tell of it; `as text`
# those where perl adds to the exception, as it does for `use`.
my $dir = File::Temp::tempdir(CLEANUP => 1);
my %ways = (
    perlxs_boot => {
        'a sub that is defined again' => sub {
            local ($^W, $SIG{__WARN__}) = (1, $_[0]);
            XSLoader::load('PerlXS::Test', '0.01');
        },
    },
    perlxs_code_loop => {
        'a sub of a loop'           => sub { PerlXS::Test::test_each($_[0], 1, 2) },
        'what it returns: bool'     => sub { my $l = $_[0]; PerlXS::Test::test_each(sub { Over->by($l) }, 1) },
        'quiet a temporary of the sub' => sub { my $l = $_[0]; PerlXS::Test::test_each(sub { my $o = Destroy->by($l); 1 }, 1, 2) },
        'a sub with an argument'    => sub { PerlXS::Test::with_each($_[0], 1, 2) },
        'what Rust does with a result' => sub { my $l = $_[0]; PerlXS::Test::map_each(sub : lvalue { ${ fetch($l) } }, 'x', 1) },
        'the same, of a sub with an argument' => sub { my $l = $_[0]; PerlXS::Test::with_each(sub : lvalue { ${ fetch($l) } }, 1) },
        'a sub that reduces'        => sub { my $l = $_[0]; PerlXS::Test::reduce(sub { $l->() }, 1, 2, 3) },
    },
    perlxs_hash_next => {
        'FIRSTKEY' => sub { PerlXS::Test::walk(tied_hash($_[0], 'FIRSTKEY')) },
        'NEXTKEY'  => sub { PerlXS::Test::walk(tied_hash($_[0], 'NEXTKEY')) },
    },
    perlxs_sv_dec => {
        'quiet a DESTROY'     => sub { catch(sub { Destroy->by($_[0]) }, $_[0]); 1 },
        'quiet an exception'  => sub { deaf(sub { die Destroy->by($_[0]) }, sub { 1 }) for 1; my $l = $_[0]; deaf(sub { die Destroy->by($l) }, sub { 1 }) },
        'quiet one in a list' => sub { my $l = $_[0]; my $n = optional(1, 2, Over->by(sub { my $o = Destroy->by($l); 'x' })) },
    },
    perlxs_sv_assignable => {
        'a warning of %SIG' => sub {
            { no warnings; $SIG{NOSUCH} = 'IGNORE' }
            local $SIG{__WARN__} = $_[0];
            flags($SIG{NOSUCH});
        },
        'STORE, of a part' => sub { tie my $tied, 'Store', $_[0]; flags(substr $tied, 0, 1) },
    },
    perlxs_sv_number => { 'FETCH' => sub { number(${ fetch($_[0]) }) }, '0+' => sub { number(Over->by($_[0])) } },
    perlxs_sv_string => {
        'FETCH, text'      => sub { text(${ fetch($_[0]) }) },
        'FETCH, bytes'     => sub { bytes(${ fetch($_[0]) }) },
        'FETCH, file name' => sub { file_name(${ fetch($_[0]) }) },
        '"", text'         => sub { text(Over->by($_[0])) },
        '"", file name'    => sub { file_name(Over->by($_[0])) },
    },
    perlxs_sv_borrow => {
        'FETCH, bytes' => sub { PerlXS::Test::borrowed(${ fetch($_[0]) }, 'bytes', undef, sub { 1 }) },
        '"", bytes'    => sub { PerlXS::Test::borrowed(Over->by($_[0]), 'bytes', undef, sub { 1 }) },
    },
    perlxs_sv_form => { 'FETCH' => sub { PerlXS::Test::form(${ fetch($_[0]) }) } },
    perlxs_sv_as   => {
        (map { my $to = $_; "FETCH, $to" => sub { PerlXS::Test::convert(${ fetch($_[0]) }, $to) } } qw(iv uv nv pv)),
        '0+'                 => sub { PerlXS::Test::convert(Over->by($_[0]), 'iv') },
        '""'                 => sub { PerlXS::Test::convert(Over->by($_[0]), 'pv') },
        'a warning'          => sub { local $SIG{__WARN__} = $_[0]; PerlXS::Test::convert('x', 'iv') },
    },
    perlxs_sv_set => {
        'STORE'                => sub { tie my $tied, 'Store', $_[0]; set($tied, 1) },
        'FETCH'                => sub { set(my $x, ${ fetch($_[0]) }) },
        'quiet what was in it' => sub { my $x = Destroy->by($_[0]); set($x, 1) },
        'STORE, of a referent' => sub { tie my $tied, 'Store', $_[0]; referent(\$tied, 1) },
    },
    perlxs_variable => {
        'a name that is no more' => sub {
            my $leave = $_[0];
            local ($SIG{__DIE__}, $SIG{__WARN__});
            $SIG{__DIE__} = $SIG{__WARN__} = sub { @SIG{qw(__DIE__ __WARN__)} = (); $leave->() };
            variable(1, '*');
        },
    },
    perlxs_load_module => {
        'as text, a hook in @INC'    => sub { my $leave = $_[0]; local @INC = (sub { $leave->() }, @INC); delete $INC{'No/Such.pm'}; load_module('No::Such') },
        'as text, the module itself' => sub {
            our $leave = $_[0];
            local @INC = sub { my $text = '$main::leave->()'; open my $in, '<', \$text; return $in };
            delete $INC{'No/Such.pm'};
            load_module('No::Such');
        },
    },
    perlxs_sv_items => {
        'FETCH of the reference' => sub { elements(${ fetch($_[0]) }) },
        'FETCHSIZE'              => sub { elements(tied_array($_[0], 'FETCHSIZE')) },
        'FIRSTKEY'               => sub { entries(tied_hash($_[0], 'FIRSTKEY')) },
        'NEXTKEY'                => sub { entries(tied_hash($_[0], 'NEXTKEY')) },
    },
    perlxs_sv_copy   => { 'FETCH' => sub { copy(${ fetch($_[0]) }) } },
    perlxs_sv_fileno => {
        'FETCH'  => sub { fd(${ fetch($_[0]) }) },
        '*{}'    => sub { fd(Over->by($_[0])) },
        'FILENO' => sub { tie *TIED, 'Handle', $_[0]; fd(\*TIED) },
        'FETCH of what FILENO returns' => sub { my $leave = $_[0]; tie *TIED, 'Handle', sub : lvalue { ${ fetch($leave) } }; fd(\*TIED) },
    },
    perlxs_sv_code   => { 'FETCH' => sub { call(${ fetch($_[0]) }) }, '&{}' => sub { call(Over->by($_[0])) } },
    perlxs_code_call => {
        'a sub'                  => sub { call($_[0]) },
        'a sub, in list context' => sub { my @list = call_list($_[0]) },
        'a sub by its name'      => sub { no warnings 'redefine'; *named = $_[0]; call('named') },
        'what it returns'        => sub { my $leave = $_[0]; call(sub : lvalue { ${ fetch($leave) } }) },
        'what it returns, one of a list' => sub { my $leave = $_[0]; my @list = call_list(sub : lvalue { my $x = 1; ($x, ${ fetch($leave) }) }) },
        'a method'               => sub { no warnings 'redefine'; *Error::method = $_[0]; method('Error', 'method') },
        'an AUTOLOAD'            => sub { $Autoload::code = $_[0]; method('Autoload', 'any') },
        'FETCH of the invocant'  => sub { method(${ fetch($_[0]) }, 'any') },
        'quiet a DESTROY inside' => sub { my $leave = $_[0]; call(sub { my $o = Destroy->by($leave); 1 }) },
        'quiet a DESTROY of a temporary' => sub { my $leave = $_[0]; call(sub { scalar @{ [ Destroy->by($leave) ] } }) },
    },
    perlxs_sv_ask => {
        'FETCH, its kind'    => sub { ask(${ fetch($_[0]) }) },
        'FETCH, defined'     => sub { ask(${ fetch(sub { 1 }, sub { 1 }, $_[0]) }) },
        'FETCH, true'        => sub { is_true(${ fetch($_[0]) }) },
        'bool'               => sub { is_true(Over->by($_[0])) },
    },
    perlxs_sv_class => { 'FETCH' => sub { ask(${ fetch(sub { 1 }, $_[0]) }) } },
    perlxs_sv_deref => {
        'FETCH' => sub { PerlXS::Test::deref(${ fetch($_[0]) }) },
        '@{}'   => sub { my $leave = $_[0]; array((bless \$leave, 'Deref'), 0, 'len') },
        '%{}'   => sub { my $leave = $_[0]; hash((bless \$leave, 'Deref'), 0, 'keys') },
        '${}'   => sub { PerlXS::Test::deref(bless [ $_[0] ], 'Scalars') },
    },
    perlxs_array_len => { 'FETCHSIZE' => sub { array(tied_array($_[0], 'FETCHSIZE'), 0, 'len') } },
    perlxs_array_get => { 'FETCH' => sub { my ($x) = array(tied_array($_[0], 'FETCH'), 0, 'get'); my $y = "$x" } },
    perlxs_array_set => {
        'STORE'                => sub { array(tied_array($_[0], 'STORE'), 0, 'set', 1) },
        'FETCH of the value'   => sub { array([], 0, 'set', ${ fetch($_[0]) }) },
        'quiet what was there' => sub { my @array = Destroy->by($_[0]); array(\@array, 0, 'set', 1) },
    },
    perlxs_array_push => { 'PUSH' => sub { array(tied_array($_[0], 'PUSH'), 0, 'push', 1) }, 'FETCH' => sub { array([], 0, 'push', ${ fetch($_[0]) }) } },
    perlxs_array_pop  => {
        'FETCHSIZE'          => sub { array(tied_array($_[0], 'FETCHSIZE'), 0, 'pop') },
        'POP'                => sub { array(tied_array($_[0], 'POP'), 0, 'pop') },
    },
    perlxs_array_shift  => { 'FETCHSIZE' => sub { array(tied_array($_[0], 'FETCHSIZE'), 0, 'shift') }, 'SHIFT' => sub { array(tied_array($_[0], 'SHIFT'), 0, 'shift') } },
    perlxs_array_exists => { 'EXISTS' => sub { array(tied_array($_[0], 'EXISTS'), 0, 'exists') } },
    perlxs_array_delete => { 'DELETE' => sub { array(tied_array($_[0], 'DELETE'), 0, 'delete') } },
    perlxs_array_splice => {
        'SPLICE'             => sub { array(tied_array($_[0], 'SPLICE'), 0, 'splice', 1) },
        'FETCH of a value'   => sub { array([ 1, 2 ], 0, 'splice', 1, ${ fetch($_[0]) }) },
        'quiet a DESTROY of what was there' => sub { my @array = Destroy->by($_[0]); array(\@array, 0, 'splice', 1, 2); @array = () },
    },
    perlxs_eval => {
        'a program'              => sub { our $leave = $_[0]; PerlXS::Test::eval_text('$main::leave->()') },
        'FETCH of its result'    => sub { our $tied = fetch($_[0]); PerlXS::Test::eval_text('$$main::tied') },
    },
    perlxs_warn => {
        'a warning'               => sub { my $leave = $_[0]; local $SIG{__WARN__} = sub { $leave->() }; PerlXS::Test::warns('text') },
        'a warning of a category' => sub { my $leave = $_[0]; local $SIG{__WARN__} = sub { $leave->() }; use warnings; PerlXS::Test::warns('text', 'misc') },
    },
    perlxs_sv_bless => {
        'FETCH of the reference' => sub { PerlXS::Test::blessed_into(${ fetch($_[0]) }, 'Error::Not') },
        '"" of the class'        => sub { PerlXS::Test::blessed_into([], Over->by($_[0])) },
    },
    perlxs_sv_weaken => { 'quiet the last reference' => sub { my $ref = Destroy->by($_[0]); PerlXS::Test::weakened($ref) } },
    perlxs_attach => {
        'quiet a drop that panics' => sub {
            my $leave = $_[0];
            local $SIG{__WARN__} = sub { $SIG{__WARN__} = 'IGNORE'; $leave->() };
            { my $x = 1; PerlXS::Test::attached($x, 'bad') }
            1;
        },
    },
    perlxs_hash_get => {
        'FETCH'         => sub { my ($x) = hash(tied_hash($_[0], 'FETCH'), 'a', 'get'); my $y = "$x" },
        '"" of the key' => sub { hash({}, Over->by($_[0]), 'get') },
        'FETCH of it'   => sub { hash({}, ${ fetch($_[0]) }, 'get') },
    },
    perlxs_hash_set => {
        'STORE'                => sub { hash(tied_hash($_[0], 'STORE'), 'a', 'set', 1) },
        'FETCH of the value'   => sub { hash({}, 'a', 'set', ${ fetch($_[0]) }) },
        'quiet what was there' => sub { my %hash = (a => Destroy->by($_[0])); hash(\%hash, 'a', 'set', 1) },
    },
    perlxs_hash_len    => { 'FIRSTKEY' => sub { hash(tied_hash($_[0], 'FIRSTKEY'), 0, 'len') }, 'NEXTKEY' => sub { hash(tied_hash($_[0], 'NEXTKEY'), 0, 'len') } },
    perlxs_hash_exists => { 'EXISTS' => sub { hash(tied_hash($_[0], 'EXISTS'), 'a', 'contains') } },
    perlxs_hash_delete => { 'DELETE' => sub { hash(tied_hash($_[0], 'DELETE'), 'a', 'delete') } },
    perlxs_collect     => {
        'FETCHSIZE' => sub { array(tied_array($_[0], 'FETCHSIZE'), 0, 'elements') },
        'FIRSTKEY'  => sub { hash(tied_hash($_[0], 'FIRSTKEY'), 0, 'keys') },
        'NEXTKEY'   => sub { hash(tied_hash($_[0], 'NEXTKEY'), 0, 'entries') },
    },
    perlxs_clear => {
        'CLEAR, of an array'  => sub { array(tied_array($_[0], 'CLEAR'), 0, 'clear') },
        'CLEAR, of a hash'    => sub { hash(tied_hash($_[0], 'CLEAR'), 0, 'clear') },
        'quiet what it holds' => sub { my @array = Destroy->by($_[0]); array(\@array, 0, 'clear') },
    },
    perlxs_object_new => {
        'FETCH of the class'    => sub { PerlXS::Test::Counter::new(${ fetch($_[0]) }) },
        '"" of the class'       => sub { PerlXS::Test::Counter::new(Over->by($_[0])) },
        'quiet a payload\'s drop' => sub { my $object = PerlXS::Test::Counter->new('calls', $_[0]); undef $object; 1 },
        'quiet a drop that panics' => sub {
            my $leave  = $_[0];
            my $object = PerlXS::Test::Counter->new('bad');
            # once: what it throws may make perl warn
            local $SIG{__WARN__} = sub { $SIG{__WARN__} = 'IGNORE'; $leave->() };
            undef $object;
            1;
        },
        'quiet a drop in Rust'  => sub { my $leave = $_[0]; catch(sub { PerlXS::Test::Counter->new('calls', $_[0]) }, $leave); 1 },
    },
    perlxs_object_payload => { 'FETCH' => sub { my $leave = $_[0]; call(sub { PerlXS::Test::Counter::add(${ fetch($leave) }, 1) }) } },
    perlxs_syscall        => {
        'a handler' => sub {
            my $leave = $_[0];
            pipe my $in, my $out or die $!;
            my $rest = alarm 0;
            local $SIG{ALRM} = sub { alarm $rest; syswrite $out, 'x'; $leave->() };
            # again and again: what comes right before the system call does not wake it, as in perl's own
            Time::HiRes::ualarm(1000, 1000);
            sleeping_read(fileno $in);
        },
    },
    perlxs_flush_all => {
        'a layer\'s FLUSH' => sub {
            open my $out, '>:via(Leaving)', "$dir/out" or die $!;
            print $out 'text';
            $PerlIO::via::Leaving::code = $_[0];
            flush_all();
        },
    },
);

# The rest run none, or run it where nobody of this process returns to.
my %others = (
    (map { $_ => 'makes a new one, of what Rust has' }
        qw(perlxs_sv_new perlxs_array_new perlxs_ref_new
        perlxs_hash_new)),
    (map { $_ => 'looks at what is there' }
        qw(perlxs_call_context perlxs_sv_is_undef_constant perlxs_sv_is_stringless perlxs_sv_count perlxs_depths perlxs_interp_of perlxs_call_signal_mask perlxs_av_len perlxs_av_get
        perlxs_sv_referent perlxs_attached perlxs_signal_number perlxs_shared_tid perlxs_shared_is_nested)),
    (map { $_ => 'counts a reference, or stores one in what nobody else has' } qw(perlxs_sv_inc perlxs_array_append perlxs_closure_new perlxs_hash_append perlxs_call_return_string perlxs_give_back perlxs_array_numbers perlxs_array_integers perlxs_array_elements)),
    (map { $_ => "changes this process's signals, or locks" } qw(perlxs_call_block_signals perlxs_before_exec perlxs_fork perlxs_fork_lock perlxs_fork_unlock perlxs_forget_signals)),
    perlxs_sv_describe   => 'asks no magic; no warning of the formatting is known, and it is guarded',
    (map { $_ => 'croaks, or warns with -t; see 09-taint.t' } qw(perlxs_taint_proper perlxs_taint_env)),
    perlxs_main_run      => 'see in_child below',
    perlxs_main_end      => 'see in_child below',
    (map { $_ => 'see guest below, and 03-share.t' } qw(perlxs_shared_begin perlxs_shared_run perlxs_shared_end perlxs_shared_unshare_files)),
);

{
    my $shim = "$FindBin::Bin/../../csrc/shim.h";
    open my $fh, '<', $shim or die "$shim: $!";
    my $text = do { local $/; <$fh> } =~ s{/\*.*?\*/}{}gsr;
    my @functions = $text =~ /^[a-zA-Z][\w \*]*?\b(perlxs_\w+)\(/gm;
    cmp_ok scalar @functions, '>', 60, 'the functions of the shim';
    is_deeply [ sort keys %ways, keys %others ], [ sort @functions ], 'each is called here, or runs no perl code';
}

# ---- each function, each way to leave, of this process ----

# What perl itself does, which changes: since 5.38 an object that a hook in @INC throws is lost, and
# since 5.42 no hook for warnings or exceptions is called in one.
my $keeps_objects = do { local @INC = sub { die Error->new }; eval { require No::Such }; my $kept = ref $@; $@ = ''; $kept };
my $hooks_in_hooks = do { my $called; local $SIG{__WARN__} = sub { local $SIG{__WARN__} = sub { $called = 1 }; warn 'inner' }; silently(sub { warn 'outer' }); $called };

# A test for each function: nothing is skipped, nothing doubled.
for my $function (sort keys %ways) {
    my @wrong;
    my ($made, $uneven) = (made(), uneven());
    for my $way (sort keys %{ $ways{$function} }) {
        my $call = $ways{$function}{$way};
        my $text = $way =~ /^as text/;
        for my $die (@dies) {
            my ($name, $leave, $expected) = @$die;
            my $object = !ref $expected;
            my $quiet  = $way =~ /^quiet/;
            $expected = !$text ? qr/^$expected$/ : $name =~ /false/ ? qr/^Compilation failed/ : qr/^$expected=/ if $object;
            if (!$hooks_in_hooks) {
                $quiet    = 1            if $name eq 'a die in a warn hook' && $way =~ /a warning|defined again/;
                $expected = qr/^not h\n/ if $name eq 'a die with a hook' && $way =~ /no more/;
            }
            # perl does not see one that is false
            if ($name =~ /false/ && $way =~ /a hook|a handler/) { $quiet = 1 }
            if ($object && !$keeps_objects && $way =~ /\@INC/) { ($quiet, $expected) = (0, qr/^Can't locate/) }
            my $note = sub { push @wrong, "$way, $name: @_" };
            my ($turns, $evals, $loops) = (0, 0, '');
            my $called = 0;
            my $counted = sub { $called++; &$leave };
            my (@before, @after);
            my ($held, $balance) = (made() - dropped(), 0);
            $destroyed = 0;
            my $error;
            local $SIG{__WARN__} = sub { $note->("warns @_") if "@_" !~ /\(in cleanup\)/ };
            local *STDERR;    # a warning of a handler for warnings
            open STDERR, '>', File::Spec->devnull or die $!;
          TURN: for my $turn (1, 2) {
                for my $inner ('x', 'y') {
                    $turns++;
                    $@ = 'before';
                    @before = depths();
                    if (eval { my $value = $call->($counted); 1 }) { $evals++; $note->("\$@ is $@") if $@ ne '' }
                    else                                           { $error = $@ }
                    @after = depths();
                    $note->("depths @before, then @after") if "@before" ne "@after";
                    $loops .= "$turn$inner";
                }
            }
            my $thrown = ref $error ? ref $error : $error;
            undef $error;
            $@ = '';
            $note->("left the loop: $loops") if $loops ne '1x1y2x2y';
            $note->("called $called times")  if $called < 4;
            if    ($quiet)                 { $note->('a die is heard') if $evals != 4 }
            elsif ($evals)                 { $note->("$evals times no die") }
            elsif ($thrown !~ $expected)   { $note->("dies of $thrown") }
            $note->("destroyed $destroyed times in $called") if $object && $destroyed != $called * ($name =~ /each depth/ ? 3 : 1);
            $note->('holds ' . (made() - dropped() - $held) . ' Rust values') if made() - dropped() != $held;
            $note->('SIGUSR1 is blocked') if signals_blocked();
        }
    }
    is join("\n", @wrong), '', $function;
    cmp_ok made() - $made, '>=', @dies * 4, "$function: Rust values in each frame" if $function ne 'perlxs_boot';
    is uneven() - $uneven, 0, 'and the stacks are level within';
}

sub signals_blocked {
    my $mask = POSIX::SigSet->new;
    POSIX::sigprocmask(&POSIX::SIG_BLOCK, POSIX::SigSet->new, $mask);
    return grep { $mask->ismember($_) } &POSIX::SIGUSR1, &POSIX::SIGTERM, &POSIX::SIGCHLD;
}

# Without what perl says of a die that nobody hears.
sub silently {
    my ($code) = @_;
    local *STDERR;
    open STDERR, '>', File::Spec->devnull or die $!;
    return $code->();
}

# ---- exit, and what ends a thread ----

# What the code does in a process of its own, until that is gone: its exit status, or 99 if it
# comes back; and how many Rust values are left of those that it made.
sub in_process {
    my ($code) = @_;
    my ($made, $dropped) = (made(), dropped());
    my $pid = fork;
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        open STDERR, '>', File::Spec->devnull;
        eval { $code->() };
        $@ = '';
        POSIX::_exit(99);
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    return ($status, made() - $made - (dropped() - $dropped));
}

my @exits = (
    [ 'exit',                          sub { exit 7 } ],
    [ 'exit deeper in Rust',           sub { call(sub { catch(sub { call(sub { exit 7 }) }) }) } ],
    [ 'a die of one whose DESTROY exits', sub { die Error->new(sub { exit 7 }) } ],
    [ 'exit in an eval',               sub { eval { eval q{ exit 7 } } } ],
    [ 'exit in a DESTROY',             sub { my $object = Error->new(sub { exit 7 }); 1 } ],
    [ 'exit in a signal handler',      sub { local $SIG{USR1} = sub { exit 7 }; kill USR1 => $$; 1 for 1 .. 3 } ],
    [ 'exit in an immediate one',      sub { immediate(sub { exit 7 }, sub { kill USR1 => $$ }) } ],
    [ 'exit in a die hook',            sub { local $SIG{__DIE__} = sub { exit 7 }; die 'x' } ],
    [ 'a die in END after exit',       sub { eval q{ END { eval { call(sub { die "END\n" }) } } 1 } or die $@; exit 7 } ],
);
# What perl was about to free when it is left for good stays: that is a loss to memcheck.
sub exits_from { my ($function) = @_; return grep { !$ENV{UNDER_VALGRIND} || !/DESTROY|drop/ } sort keys %{ $ways{$function} } }
is made() - dropped(), 0, 'no Rust value is alive';
for my $function (sort keys %ways) {
    my @wrong;
    for my $way (exits_from($function)) {
        for my $exit ($way eq 'a sub' ? @exits : @exits[ 0 .. 2 ]) {
            my ($name, $leave) = @$exit;
            my ($status, $left) = in_process(sub { $ways{$function}{$way}->($leave) });
            push @wrong, "$way, $name: status $status, $left Rust values are left" if $status ne 7 || $left;
        }
    }
    is join("\n", @wrong), '', "$function: exit";
}
SKIP: {
    skip 'this perl has no threads', 1 if !$Config{useithreads};
    require threads;
    for my $function (sort keys %ways) {
        next if $function eq 'perlxs_syscall';    # signals are the process's
        my ($status, $left) = in_process(sub {
            for my $way (@{ $ways{$function} }{ exits_from($function) }) {
                my $leaves;
                # not again in the thread's global destruction
                threads->create(sub { $way->(sub { threads->exit if !$leaves++ }); exit 8 })->join;
            }
            exit 7;
        });
        is "$status $left", '7 0', "$function: threads->exit";
    }
}

# ---- what perl is doing when it calls Rust ----

sub runs_in_sub { my ($code) = @_; return $code->() }
my %in = (
    'a sub'         => \&runs_in_sub,
    'string eval'   => sub { my ($code) = @_; my $value; eval q{ $value = $code->(); 1 } or die $@; return $value },
    'a sort block'  => sub { my ($code) = @_; my @sorted = sort { $code->(); 0 } 3, 1, 2; return },
    'a sort sub'    => sub { my ($code) = @_; my $by = sub { $code->(); 0 }; my @sorted = sort $by 3, 1, 2; return },
    'map'           => sub { my ($code) = @_; return map { my $x = $_; $code->() } 1, 2 },
    'grep'          => sub { my ($code) = @_; return grep { $code->() } 1, 2 },
    'each loop'     => sub { my ($code) = @_; my %hash = (a => 1, b => 2); while (my ($key) = each %hash) { $code->() } return },
    'foreach'       => sub { my ($code) = @_; my @list = (1, 2); for my $x (@list) { for (my $i = 0; $i < 2; $i++) { $code->() } } return },
    'a pattern'     => sub { my ($code) = @_; 'abc' =~ /b(?{ $code->() })c/; return },
    's///e'         => sub { my ($code) = @_; my $text = 'abc'; $text =~ s/b/$code->()/e; return },
    'local'         => sub { my ($code) = @_; our %h = (a => 1); local $h{a} = 2; local $h{b} = 3; local $_ = 4; local $/; return $code->() },
    'FETCH'         => sub { my ($code) = @_; my $x = ${ fetch($code) }; return },
    'STORE'         => sub { my ($code) = @_; tie my $tied, 'Store', $code; $tied = 1; return },
    'overloading'   => sub { my ($code) = @_; my $x = '' . Over->by($code); return },
    'a BEGIN block' => sub { our $begin = shift; eval q{ BEGIN { $begin->() } 1 } or die $@ =~ s/^BEGIN failed.*//mr; return },
    'require'       => sub { our $leave = shift; local @INC = sub { open my $in, '<', \'$main::leave->(); 1'; $in }; delete $INC{'leaving.pm'}; require leaving; return },
    'a guest'       => sub { my ($code) = @_; my $error; guest(sub { eval { $code->(); 1 } or $error = $@; 0 }); die $error if defined $error; return },
    'goto'          => sub { @_ = $_[0]; goto &call },
);
silently(\&contexts);
sub contexts { for my $in (sort keys %in) {
    my @wrong;
    my $uneven = uneven();
    for my $die (@dies) {
        my ($name, $leave, $expected) = @$die;
        next if $in eq 'a guest' && $name =~ /handler|immediate/;    # it has none
        my $turns = 0;
        my (@before, @after, $error);
        $destroyed = 0;
      TURN: for my $turn (1, 2) {
            for (1, 2) {
                @before = depths();
                $error = eval { my @value = $in{$in}->(sub { call($leave) }); 1 } ? 'no error' : ref $@ || $@;
                @after = depths();
                $turns++;
                push @wrong, "$name: depths @before, then @after" if "@before" ne "@after";
            }
        }
        $@ = '';
        my $objects = ref $expected ? 0 : $turns * ($name =~ /each depth/ ? 3 : 1);
        push @wrong, "$name: $turns turns"                if $turns != 4;
        push @wrong, "$name: destroyed $destroyed"        if $objects && $destroyed != $objects;
        push @wrong, "$name: dies of $error"              if !ref $expected && $in !~ /BEGIN|require/ ? $error ne $expected : ref $expected && $error !~ $expected;
    }
    for my $exit (@exits[ 0 .. 2 ]) {
        my ($name, $leave) = @$exit;
        next if $in eq 'a guest';    # its exit is its own
        my ($status, $left) = in_process(sub { $in{$in}->(sub { call($leave) }) });
        push @wrong, "$name: status $status, $left Rust values are left" if $status ne 7 || $left;
    }
    is join("\n", @wrong), '', "called in $in";
    is made() - dropped(), 0, 'no Rust value is left';
    is uneven() - $uneven, 0, 'and the stacks are level within';
} }

# ---- signals that come while Rust runs, handlers that perl does not defer ----

{
    $destroyed = 0;
    ok !eval { immediate(sub { die "late\n" }, sub { raise('USR1', Error->new, 1) }); 1 }, 'a signal in Rust: its handler dies';
    is $@, "late\n", 'afterwards';
    is made() - dropped(), 0, 'Rust values are dropped';
    is $destroyed, 1, 'and the arguments given back';
    my ($status, $left) = in_process(sub { immediate(sub { exit 7 }, sub { raise('USR1', Error->new) }) });
    is "$status $left", '7 0', 'a handler that exits';
}

# ---- arguments that are gone ----

{
    my @array = ([1], [2], 'x');
    my $emptied = sub { @array = (); return (count(@_), text($_[2])) };
    is_deeply [ $emptied->(@array) ], [ 3, undef ], 'elements of an array that is emptied meanwhile are undef';
    my $object = { a => Error->new(sub { exit 7 }) };
    my ($status, $left) = in_process(sub { late(sub { undef $object; 1 }, $object->{a}) });
    is "$status $left", '7 0', 'the last reference is an argument: a DESTROY that exits';
    ($status, $left) = in_process(sub { late(sub { undef $object; exit 7 }, $object->{a}) });
    is "$status $left", '7 0', 'while perl is leaving';
    undef $object->{a}[0];
}

# ---- other processes ----

for (
    [ 'returns',    sub { 5 },          5 << 8 ],
    [ 'exits',      sub { exit 6 },     6 << 8 ],
    [ 'dies',       sub { $! = 3; die "x\n" }, 3 << 8 ],
    [ 'dies of an object', sub { $! = 3; die Error->new }, 3 << 8 ],
    [ 'leaves by last', sub { $! = 3; last TURN }, 3 << 8 ],
    [ 'ends in END', sub { eval q{ END { $? = 4 } 1 }; exit 1 }, 4 << 8 ],
) {
    my ($name, $code, $expected) = @$_;
    for my $frames (1, 3) {
        my $inner = $code;
        for (2 .. $frames) { my $next = $inner; $inner = sub { call($next) } }
      TURN: for (1, 2) {
            is silently(sub { in_child($inner) }), $expected, "a copy that $name, $frames deep";
            is silently(sub { guest($inner) }), $expected >> 8, 'a guest' if $name !~ /END/;
        }
        tie my $tied, 'Store', $inner;
        is silently(sub { in_child(sub { 8 }, $tied) }), $name eq 'returns' ? 8 << 8 : $expected, 'in what is assigned to first';
    }
}
is made() - dropped(), 0, 'Rust values are dropped';
{
    my ($status, $left) = in_process(sub { guest(sub { $SIG{USR1} = bless sub { }, 'Exits'; stop() }); exit 8 });
    sub Exits::DESTROY { exit 7 }
    is $status, 7, 'a handler that a guest leaves behind: its DESTROY exits';
    cmp_ok $left, '<=', 1, 'and only what the guest that was stopped held is left';
    ($status, $left) = in_process(sub { guest(sub { Internals::SvREADONLY($SIG{USR1} = 'IGNORE', 1); stop() }); exit 7 });
    is $status, 7, 'one that it has made read-only';
}

# ---- no memory ----

# Runs the program with so many megabytes of address space.
sub within {
    my ($mb, $program) = @_;
    my $kb = $mb * 1024;
    return run_perl([ 'sh', '-c', "ulimit -c 0; ulimit -v $kb && exec \"\$@\"", 'sh' ], '-MPerlXS::Test', '-e', $program);
}

SKIP: {
    skip 'AddressSanitizer has terabytes of address space', 6 if $ENV{UNDER_SANITIZER};
    my $big = 'END { print "END ", PerlXS::Test::made() - PerlXS::Test::dropped(), "\n" } my $n = 200e6; my $big = "x" x $n; $| = 1; print "begun\n";';
    my ($output, $status) = within(350, "$big PerlXS::Test::bytes(bless [], 'Big'); package Big; use overload '\"\"' => sub { \$big };");
    like $output, qr/^begun\nOut of memory.*\nEND 0$/s, 'no memory, while perl code may be run: an exit';
    is $status, 1 << 8, 'with its status';
    ($output, $status) = within(350, "$big PerlXS::Test::bytes(\$big)");
    like $output, qr/^begun\nOut of memory for a string of 200000000 bytes at .*\nEND 0$/s, 'none for a copy of a long string: a croak';
    isnt $status, 0, 'with its status';
    ($output, $status) = within(350, '$| = 1; print "begun\n"; PerlXS::Test::filled(200e6)');
    like $output, qr/^begun\nOut of memory/, 'no memory where none is expected';
    is $status & 127, &POSIX::SIGABRT, 'ends the process at once';
}

# ---- no scalar is left behind ----

silently(sub {
    for my $function (sort keys %ways) {
        my @wrong;
        for my $way (sort keys %{ $ways{$function} }) {
            next if $way =~ /a hook in \@INC/;    # require leaves one, without us
            for my $die (@dies) {
                my ($name, $leave) = @$die;
                next if $name =~ /warn hook/ && $way =~ /a warning|defined again/;    # so does a hook in a hook
                my $left = leaks { eval { my $value = $ways{$function}{$way}->($leave); 1 } or $@ = '' };
                push @wrong, "$way, $name: $left" if $left;
            }
        }
        is join("\n", @wrong), '', "$function: no scalar is left behind";
    }
});

done_testing;
