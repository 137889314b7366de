package telemetry

// LoginOutcome is how a login went.
type LoginOutcome string

// The outcomes of a login.
const (
	LoginOK             LoginOutcome = "ok"
	LoginBadCredentials LoginOutcome = "bad-credentials"
	LoginRateLimited    LoginOutcome = "rate-limited"
	LoginOverloaded     LoginOutcome = "overloaded"
	LoginError          LoginOutcome = "error"
)

// RefreshOutcome is how a refresh went.
type RefreshOutcome string

// The outcomes of a refresh.
const (
	RefreshRotated     RefreshOutcome = "rotated"
	RefreshRepeated    RefreshOutcome = "repeated" // the same child was answered again
	RefreshReused      RefreshOutcome = "reused"   // a spent token came back
	RefreshAhead       RefreshOutcome = "ahead"    // of the database
	RefreshEnded       RefreshOutcome = "ended"
	RefreshInvalid     RefreshOutcome = "invalid"
	RefreshRateLimited RefreshOutcome = "rate-limited"
	RefreshError       RefreshOutcome = "error"
)

// RegistrationOutcome is how a registration went.
type RegistrationOutcome string

// The outcomes of a registration.
const (
	RegistrationOK          RegistrationOutcome = "ok"
	RegistrationInvalid     RegistrationOutcome = "invalid" // an identifier or a password that is not allowed
	RegistrationTaken       RegistrationOutcome = "taken"   // somebody has the identifier
	RegistrationClosed      RegistrationOutcome = "closed"
	RegistrationRateLimited RegistrationOutcome = "rate-limited"
	RegistrationOverloaded  RegistrationOutcome = "overloaded"
	RegistrationError       RegistrationOutcome = "error"
)
